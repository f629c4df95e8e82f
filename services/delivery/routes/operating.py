"""`/v1/deliveries/pause`, `resume`, `pauses`."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from schemas.events import Channel, Country
from services.delivery.deliveries import account_of
from services.delivery.pauses import ANY, Pause
from services.delivery.routes.parts import PARTS, Parts, caller, known_country, known_provider, only_account
from services.platform.auth import EVERY, Who
from services.platform.http import body, json_response


class PauseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out is any. `country`: ISO 3166-1 of the phone number."""

    account: UUID | None = None
    channel: Channel | None = None
    country: Country | None = None
    provider: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


async def pause(request: web.Request) -> web.Response:
    who, asked = await _asked(request)
    parts = request.app[PARTS]
    if asked.country != ANY:
        known_country(asked.country)
    if asked.provider != ANY:
        known_provider(asked.provider, [row.name for row in await parts.controls.providers()])
    await parts.controls.pause(asked, who.name)
    return json_response({"paused": await _now(parts, who)})


async def resume(request: web.Request) -> web.Response:
    """`ended`: how many pauses, 0 or 1. One for a country or provider that nobody has can be ended too."""
    who, asked = await _asked(request)
    parts = request.app[PARTS]
    ended = await parts.controls.resume(asked, who.name)
    return json_response({"paused": await _now(parts, who), "ended": int(ended)})


async def _asked(request: web.Request) -> tuple[Who, Pause]:
    asked = await body(request, PauseBody)
    who = await caller(request, asked.account)
    return who, pause_of(msgspec.structs.replace(asked, account=only_account(who, asked.account)))


def pause_of(asked: PauseBody) -> Pause:
    given = {"account": str(asked.account) if asked.account else None} | {
        name: getattr(asked, name) for name in ("channel", "country", "provider")
    }
    return Pause(**{name: value for name, value in given.items() if value is not None})


async def _now(parts: Parts, who: Who) -> list[Pause]:
    return _seen_by(who, await now_held(parts))


async def now_held(parts: Parts) -> list[Pause]:
    """What is kept back now; this worker holds to it at once."""
    now = await parts.controls.paused()
    parts.routing.hold(now)
    parts.sender.wake()
    return now


async def pauses(request: web.Request) -> web.Response:
    who = await caller(request)
    return json_response({"paused": _seen_by(who, await request.app[PARTS].controls.paused())})


def _seen_by(who: Who, found: Sequence[Pause]) -> list[Pause]:
    own = account_of(who)
    return [pause for pause in found if own is None or pause.account in (EVERY, str(own))]
