"""Delivery's HTTP application."""

import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from services.delivery.routes import operating, reading, receipts
from services.delivery.routes.parts import PARTS, Parts
from services.delivery.settings import DeliverySettings
from services.delivery.who import RIGHTS
from services.platform import auth
from services.platform.auth import User
from services.platform.http import NotReady, base_app
from services.platform.openapi import document

STALE_SECONDS = 5.0
RECEIPTS = ("POST", "/v1/receipts/{provider}")

HANDLERS = {
    ("GET", "/v1/deliveries"): reading.listed,
    ("GET", "/v1/deliveries/stream"): reading.stream,
    ("POST", "/v1/deliveries/pause"): operating.pause,
    ("POST", "/v1/deliveries/resume"): operating.resume,
    ("GET", "/v1/timelines/{login_id}"): reading.timeline,
    ("POST", "/v1/replays"): operating.make_replay,
    ("GET", "/v1/replays/{replay_id}"): operating.find_replay,
    ("GET", "/v1/dead-letters"): operating.letters,
    ("POST", "/v1/dead-letters/{letter_id}/replay"): operating.replay_letter,
    ("GET", "/v1/providers"): operating.providers,
    ("PATCH", "/v1/providers/{provider}"): operating.change_provider,
}


def build(parts: Parts) -> web.Application:
    described = document("Gatepost delivery", {**RIGHTS, RECEIPTS: None})
    app = base_app("delivery", _ready(parts), described)
    app[PARTS] = parts
    app[auth.CHECK_CLIENT] = parts.directory.check
    app[auth.INTROSPECT] = Introspection(parts.settings).user
    for (method, path), handler in HANDLERS.items():
        app.router.add_route(method, path, handler)
    app.router.add_route(*RECEIPTS, receipts.receive)
    return app


def _ready(parts: Parts) -> Any:
    async def ready() -> dict[str, Any]:
        last = parts.sender.last_sweep
        if last is None or parts.clock.monotonic() - last > STALE_SECONDS:
            raise NotReady("the sweeper does not run")
        return {"slots_free": parts.sender.free, "keys": parts.keys()}

    return ready


class Introspection:
    """Asks the session store who holds a `gp_…` token of audience `gatepost`."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings

    async def user(self, token: str) -> User | None:
        pair, base = self._settings.client_pair(), self._settings.session_store_url
        if pair is None or base is None:
            return None
        timeout = aiohttp.ClientTimeout(total=3)
        headers = {"Authorization": aiohttp.encode_basic_auth(*pair)}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.post(f"{base.rstrip('/')}/v1/introspect", data={"token": token}) as answer,
        ):
            return user_of(await answer.json()) if answer.status == 200 else None


def user_of(said: dict[str, Any]) -> User | None:
    """The person, if the token is active here and now."""
    if not said.get("active") or said.get("aud") != "gatepost":
        return None
    authenticated = datetime.fromtimestamp(said.get("auth_time") or 0, UTC)
    live = said.get("exp", time.time() + 1) > time.time()
    return User(said["sub"], said["account"], said["role"], authenticated) if live else None
