"""Adds the console to delivery's application."""

from pathlib import Path

import aiohttp_jinja2
from aiohttp import web

from services.delivery.operations import (
    failures,
    guard,
    letters,
    live,
    messages,
    overview,
    providers,
    replays,
    timeline,
)
from services.delivery.operations.table import HOME, console
from services.delivery.operations.words import FILTERS
from services.delivery.routes.parts import PARTS
from services.platform.ui import pages
from services.platform.ui.console import CONSOLE

HANDLERS = {
    ("GET", "/operations"): overview.show,
    ("GET", "/operations/messages"): messages.show,
    ("GET", "/operations/failures"): failures.show,
    ("GET", "/operations/logins/{login_id}"): timeline.show,
    ("GET", "/operations/live"): live.show,
    ("GET", "/operations/live/steps"): live.steps,
    ("GET", "/operations/replays"): replays.listed,
    ("GET", "/operations/replays/new"): replays.ask,
    ("POST", "/operations/replays/new"): replays.create,
    ("GET", "/operations/replays/{replay_id}"): replays.show,
    ("POST", "/operations/replays/{replay_id}/stop"): replays.stop,
    ("GET", "/operations/providers"): providers.show,
    ("POST", "/operations/providers/{provider}"): providers.change,
    ("POST", "/operations/pause"): providers.pause,
    ("POST", "/operations/resume"): providers.resume,
    ("GET", "/operations/guard"): guard.show,
    ("POST", "/operations/guard/allow"): guard.allow,
    ("GET", "/operations/dead-letters"): letters.listed,
    ("GET", "/operations/dead-letters/{letter_id}"): letters.show,
    ("GET", "/operations/dead-letters/{letter_id}/record"): letters.record,
    ("POST", "/operations/dead-letters/{letter_id}/replay"): letters.again,
    ("POST", "/operations/dead-letters/{letter_id}/discard"): letters.discard,
}


def add_to(app: web.Application) -> web.Application:
    pages.setup(app, HOME, Path(__file__).parent)
    aiohttp_jinja2.get_env(app).filters.update(FILTERS)
    app[CONSOLE] = console(app[PARTS].settings)
    for (method, path), handler in HANDLERS.items():
        app.router.add_route(method, path, handler)
    return app
