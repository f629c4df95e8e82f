"""`/v1/deliveries/pause`, `resume`, `pauses`."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from schemas.events import Channel, Country
from services.delivery.deliveries import account_of
from services.delivery.pauses import Pause
from services.delivery.routes.parts import PARTS, caller, only_account
from services.platform.auth import EVERY, Who
from services.platform.http import body, json_response


class PauseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out is any. `country`: ISO 3166-1 of the phone number."""

    account: UUID | None = None
    channel: Channel | None = None
    country: Country | None = None
    provider: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


async def pause(request: web.Request) -> web.Response:
    return await _pausing(request, stop=True)


async def resume(request: web.Request) -> web.Response:
    return await _pausing(request, stop=False)


async def _pausing(request: web.Request, stop: bool) -> web.Response:
    asked = await body(request, PauseBody)
    who = await caller(request, asked.account)
    account = only_account(who, asked.account)
    parts = request.app[PARTS]
    change = parts.controls.pause if stop else parts.controls.resume
    given = {"account": str(account) if account else None} | {
        name: getattr(asked, name) for name in ("channel", "country", "provider")
    }
    await change(Pause(**{name: value for name, value in given.items() if value is not None}), who.name)
    now = await parts.controls.paused()
    parts.routing.hold(now)
    parts.sender.wake()
    return json_response({"paused": _seen_by(who, now)})


async def pauses(request: web.Request) -> web.Response:
    who = await caller(request)
    return json_response({"paused": _seen_by(who, await request.app[PARTS].controls.paused())})


def _seen_by(who: Who, found: Sequence[Pause]) -> list[Pause]:
    own = account_of(who)
    return [pause for pause in found if own is None or pause.account in (EVERY, str(own))]
