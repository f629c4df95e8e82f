"""The API's pages. They run in a sandbox: an origin of their own that no console shares, without forms and connections.

Redoc needs no `unsafe-inline`. It writes its styles into style elements that begin empty, or with one fixed line: the
two hashes of the policy name these.
"""

import json
from pathlib import Path
from typing import Any, Final

import jinja2
from aiohttp import web

from schemas.topics import TOPICS
from services.platform.http import OPENAPI
from services.platform.ui.assets import Assets
from services.platform.ui.docs.topics import shown
from services.platform.ui.pages import HEADERS, HERE

PATH: Final = "/docs"
FOLDER: Final = Path(__file__).parent
CONTRACT: Final = HERE.parent.parent.parent / "schemas" / "asyncapi.yaml"
EMPTY_STYLES: Final = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
FOREIGN: Final = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
"""The one thing that Redoc would load from elsewhere: its makers' logo, beside their name."""
CONFINED: Final = "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
CALLS_POLICY: Final = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {EMPTY_STYLES}; {CONFINED}; sandbox allow-scripts"
)
TOPICS_POLICY: Final = f"default-src 'none'; style-src 'self'; {CONFINED}; sandbox"


def add_routes(app: web.Application) -> None:
    """Below `/docs`; the document is the application's own (`OPENAPI`)."""
    docs = Docs(app[OPENAPI])
    app.router.add_get(PATH, docs.calls)
    app.router.add_get(f"{PATH}/topics", docs.topics)
    app.router.add_get(f"{PATH}/asyncapi.yaml", docs.contract)
    app.router.add_get(f"{PATH}/static/{{name}}", docs.asset)


class Docs:
    """Everything is rendered once."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._assets = Assets(f"{PATH}/static", HERE, FOLDER)
        loader = jinja2.FileSystemLoader([FOLDER / "templates", HERE / "templates"])
        environment = jinja2.Environment(
            loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.globals["asset"] = self._assets.address
        title = document["info"]["title"]
        shown_as = in_page(plain(document))
        self._calls = environment.get_template("calls.html").render(title=title, description=shown_as)
        self._topics = environment.get_template("topics.html").render(title=title, topics=shown(TOPICS))

    async def calls(self, _: web.Request) -> web.Response:
        return _page(self._calls, CALLS_POLICY)

    async def topics(self, _: web.Request) -> web.Response:
        return _page(self._topics, TOPICS_POLICY)

    async def contract(self, _: web.Request) -> web.Response:
        return web.Response(body=CONTRACT.read_bytes(), content_type="application/yaml")

    async def asset(self, request: web.Request) -> web.Response:
        """A page in a sandbox has no origin that could be the same."""
        found = await self._assets.serve(request)
        found.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if isinstance(found.body, bytes) and FOREIGN in found.body:
            found.body = found.body.replace(FOREIGN, b"data:,")
        return found


def plain(document: dict[str, Any]) -> dict[str, Any]:
    """Redoc shows summaries as they are, in its list and as headings; only descriptions are Markdown to it."""
    paths = {
        path: {method: call | {"summary": call["summary"].replace("`", "")} for method, call in calls.items()}
        for path, calls in document["paths"].items()
    }
    return document | {"paths": paths}


def in_page(document: dict[str, Any]) -> str:
    """JSON that cannot end the element which holds it."""
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")


def _page(text: str, policy: str) -> web.Response:
    headers = HEADERS | {"Content-Security-Policy": policy}
    return web.Response(text=text, content_type="text/html", headers=headers)
