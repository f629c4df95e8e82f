"""The pages of the gateway. `mount` adds them to its application."""

from pathlib import Path
from typing import Final

from aiohttp import web

from services.login_gateway.pages import brands, code, login
from services.login_gateway.pages.parts import PARTS, Parts
from services.platform.ui import pages

HERE: Final = Path(__file__).parent


def front(request: web.Request) -> web.Response:
    """`/` in a browser: what there is here, for whoever comes without having been sent."""
    return pages.page(request, "front.html")


def mount(app: web.Application, parts: Parts) -> None:
    app[PARTS] = parts
    pages.setup(app, "/login", HERE, prefixes=("/login", "/account"), front=front)
    brands.add_routes(app)
    login.add_routes(app)
    code.add_routes(app)
