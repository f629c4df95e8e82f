"""Pages for people: templates, assets, headers, and problems that they can read.

A service calls `setup` once, and answers with `page`. On paths below its `prefixes`, and where there is nothing, a
problem becomes a page too; `/` leads to where its people begin.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp_jinja2
import jinja2
from aiohttp import web

from services.platform import http
from services.platform.http import Problem
from services.platform.ui.assets import Assets
from services.platform.ui.forms import FIELDS
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
UNSENT: Final = {
    "database-unavailable": "We cannot write anything down at the moment.",
    "session-store-unavailable": "We cannot tell at the moment who is signed in.",
}
REFRESH_SECONDS: Final = 5
QUALITY: Final = re.compile(r"[01](\.[0-9]{0,3})?")
PROGRAMS: Final = ("application/json", "application/problem+json")
TITLES: Final = {
    400: "That did not work",
    401: "Please sign in",
    403: "Not allowed",
    404: "Not found",
    429: "Too many tries",
    503: "Not available at the moment",
}
NAMED: Final = {"foreign-form": "This form cannot be taken"}
"""Titles of problems that their status does not tell."""
Front = Callable[[web.Request], web.Response]


class Ui(NamedTuple):
    """A page of a problem leads back to the prefix that it stands below. `front` is what stands at `/`."""

    assets: Assets
    prefixes: tuple[str, ...]
    front: Front


UI: Final[web.AppKey[Ui]] = web.AppKey("ui", Ui)


def setup(
    app: web.Application, home: str, *folders: Path, prefixes: tuple[str, ...] = (), front: Front | None = None
) -> None:
    """The folders' `templates/` and `static/` beside the base's; assets are served at `<home>/static/`.

    Without a `front` a browser that asks for `/` goes on to the first prefix.
    """
    assets = Assets(f"{home}/static", HERE, *folders)
    loader = jinja2.FileSystemLoader([folder / "templates" for folder in (*folders, HERE)])
    environment = aiohttp_jinja2.setup(
        app, loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(asset=assets.address, answers=f"{home}/answers")
    environment.filters.update(utc=utc, ago=ago)
    prefixes = prefixes or (home,)
    app[UI] = Ui(assets, prefixes, front or (lambda _: see_other(prefixes[0])))
    app[http.SHOWN] = shown
    app.router.add_get(f"{home}/static/{{name}}", assets.serve)
    app.router.add_get(f"{home}/answers", answers)


async def answers(request: web.Request) -> web.Response:
    """For scripts, before a form is sent: 204 where one can be taken, else 503."""
    return web.Response(status=204 if await http.is_ready(request.app) else 503, headers={"Cache-Control": "no-store"})


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


def kept(answer: web.Response) -> dict[str, str]:
    """The headers of a page that is raised, beside its text and kind."""
    return {name: value for name, value in answer.headers.items() if name not in ("Content-Type", "Content-Length")}


def see_other(address: str) -> web.Response:
    """After a form: the next page is asked for with GET, so that a reload sends nothing again."""
    return web.Response(status=303, headers=HEADERS | {"Location": address})


def wants_page(request: web.Request) -> bool:
    """Whether a browser asks: `Accept` names HTML, and nothing of a program's before it (RFC 9110, 12.5.1)."""
    weights = dict(_weight(each) for each in request.headers.get("Accept", "").split(","))
    html = weights.get("text/html", 0.0)
    return html > 0 and all(weights.get(kind, 0.0) <= html for kind in PROGRAMS)


def _weight(kind: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in kind.split(";"))
    given = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
    return name, float(given) if QUALITY.fullmatch(given) else 0.0


def shown(request: web.Request, problem: Problem) -> web.Response | None:
    """A problem as a page, for a browser that asked for one; its `link` is where to go on, and what that is called."""
    ui = request.app[UI]
    below = [each for each in ui.prefixes if request.path == each or request.path.startswith(f"{each}/")]
    nothing = problem.status == 404 and request.match_info.route.resource is None
    if not (below or nothing) or not wants_page(request):
        return None
    if nothing and request.path == "/" and request.method in ("GET", "HEAD"):
        return ui.front(request)
    if problem.status == 503 and request.method == "POST":
        return _unsent(request, problem)
    again = str(request.rel_url) if problem.status == 503 and request.method == "GET" else None
    told: dict[str, Any] = {
        "title": NAMED.get(problem.name) or TITLES.get(problem.status, "Something went wrong"),
        "words": WORDS.get(problem.name, problem.detail),
        "link": problem.more.get("link", (below[0], "Start again") if below else ("/", "To the start")),
        "again": again,
    }
    answer = page(request, "problem.html", problem.status, **told)
    answer.headers.update(problem.headers)
    if again is not None:
        answer.headers["Refresh"] = str(REFRESH_SECONDS)
    return answer


def _unsent(request: web.Request, problem: Problem) -> web.Response:
    """A form that could not be taken: what was typed stands in the page and is sent again by a button.

    Passwords are not given back: they are asked for again.
    """
    fields = request.get(FIELDS, {})
    asked = [name for name, value in fields.items() if "password" in name and value]
    kept = {name: value for name, value in fields.items() if name not in asked}
    words = UNSENT.get(problem.name, problem.detail)
    told: dict[str, Any] = {
        "title": TITLES[503],
        "words": words,
        "action": str(request.rel_url),
        "kept": kept,
        "asked": asked,
    }
    answer = page(request, "unsent.html", problem.status, **told)
    answer.headers.update(problem.headers)
    return answer
