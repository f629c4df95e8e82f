"""Pages for people: templates, assets, headers, and problems that they can read.

A service calls `setup` once, and answers with `page`. On paths below its `prefixes` a problem becomes a page too.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp_jinja2
import jinja2
from aiohttp import web

from services.platform import http
from services.platform.http import Problem
from services.platform.ui.assets import Assets
from services.platform.ui.times import ago, utc

HERE: Final = Path(__file__).parent
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
WORDS: Final = {
    "not-found": "There is no such page. The address may be mistyped, or what it showed is gone.",
    "internal-error": "This is our fault, and it is in our log. Try again; if it stays, tell your administrator.",
    "database-unavailable": "We cannot look anything up at the moment. Nothing is lost: try again in a few seconds.",
    "session-store-unavailable": "We cannot tell at the moment who is signed in. Try again in a few seconds.",
}
REFRESH_SECONDS: Final = 5
TITLES: Final = {
    400: "That did not work",
    401: "Please sign in",
    403: "Not allowed",
    404: "Not found",
    429: "Too many tries",
    503: "Not available at the moment",
}


class Ui(NamedTuple):
    """A page of a problem leads back to the prefix that it stands below."""

    assets: Assets
    prefixes: tuple[str, ...]


UI: Final[web.AppKey[Ui]] = web.AppKey("ui", Ui)


def setup(app: web.Application, home: str, *folders: Path, prefixes: tuple[str, ...] = ()) -> None:
    """The folders' `templates/` and `static/` beside the base's; assets are served at `<home>/static/`."""
    assets = Assets(f"{home}/static", HERE, *folders)
    loader = jinja2.FileSystemLoader([folder / "templates" for folder in (*folders, HERE)])
    environment = aiohttp_jinja2.setup(
        app, loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["asset"] = assets.address
    environment.filters.update(utc=utc, ago=ago)
    app[UI] = Ui(assets, prefixes or (home,))
    app[http.SHOWN] = shown
    app.router.add_get(f"{home}/static/{{name}}", assets.serve)


def page(request: web.Request, template: str, status: int = 200, form_to: str = "", **context: Any) -> web.Response:
    """A page. `form_to` is another origin that a form of this page may end at, by a redirect."""
    text = fragment(request, template, **context)
    headers = HEADERS | {"Content-Security-Policy": policy(form_to)}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def fragment(request: web.Request, template: str, **context: Any) -> str:
    """A part of a page, rendered like the whole."""
    return str(aiohttp_jinja2.render_string(template, request, context))


def policy(form_to: str = "") -> str:
    """Browsers apply `form-action` to redirects after a form too, so where they may lead is named."""
    allowed = f"'self' {form_to}".strip()
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        f"form-action {allowed}; base-uri 'none'; frame-ancestors 'none'"
    )


def see_other(address: str) -> web.Response:
    """After a form: the next page is asked for with GET, so that a reload sends nothing again."""
    return web.Response(status=303, headers=HEADERS | {"Location": address})


def shown(request: web.Request, problem: Problem) -> web.Response | None:
    """A problem as a page, for a browser that asked for one; its `link` is where to go on, and what that is called."""
    ui = request.app[UI]
    below = [each for each in ui.prefixes if request.path == each or request.path.startswith(f"{each}/")]
    if not below or "text/html" not in request.headers.get("Accept", ""):
        return None
    again = str(request.rel_url) if problem.status == 503 and request.method == "GET" else None
    told: dict[str, Any] = {
        "title": TITLES.get(problem.status, "Something went wrong"),
        "words": WORDS.get(problem.name, problem.detail),
        "link": problem.more.get("link", (below[0], "Start again")),
        "again": again,
    }
    answer = page(request, "problem.html", problem.status, **told)
    answer.headers.update(problem.headers)
    if again is not None:
        answer.headers["Refresh"] = str(REFRESH_SECONDS)
    return answer
