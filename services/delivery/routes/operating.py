"""What changes something: pause, resume, replays, dead letters."""

import re
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from schemas.events import Channel, Country
from services.delivery import dead_letters, replay
from services.delivery.deliveries import account_of
from services.delivery.pauses import Pause
from services.delivery.routes.parts import PARTS, caller, not_found, only_account, uuid_at
from services.platform.auth import EVERY, Who
from services.platform.clock import new_id
from services.platform.http import Problem, body, json_response, query, too_many
from services.platform.keys.contacts import SealBroken
from services.platform.keys.keyring import UnknownKey


class PauseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out is any. `country`: ISO 3166-1 of the phone number."""

    account: UUID | None = None
    channel: Channel | None = None
    country: Country | None = None
    provider: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class ReplayQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ids are an account's own: who may see several names one, or gets the newest."""

    account: UUID | None = None


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


async def make_replay(request: web.Request) -> web.Response:
    asked = await body(request, replay.Request)
    who = await caller(request, asked.account)
    asked = msgspec.structs.replace(asked, account=only_account(who, asked.account))
    replay_id = asked.replay_id or str(new_id())
    if not re.match(replay.ID_FORM, replay_id):
        raise Problem(400, "bad-request", "replay_id takes 1 to 64 letters, digits, dashes and underscores.")
    parts = request.app[PARTS]
    try:
        limits = replay.Limits(parts.settings.sends_per_hour, parts.settings.sends_per_day)
        made = await replay.replay(parts.replays, asked, who, replay_id, parts.clock.now(), limits)
    except replay.TooManyReplays:
        raise too_many("too-many-replays", "Ten replays a minute are enough. Try again in a minute.", 60) from None
    parts.sender.wake()
    shown = msgspec.to_builtins(made)
    if made.dry_run:
        del shown["replay_id"]  # nothing is kept of a dry run
    return json_response(shown, 200 if made.dry_run or made.repeated else 202)


async def find_replay(request: web.Request) -> web.Response:
    asked = query(request, ReplayQuery)
    who = await caller(request, asked.account)
    account = only_account(who, asked.account)
    replay_id = request.match_info["replay_id"]
    found = await request.app[PARTS].replays.find(replay_id, str(account) if account else None)
    if found is None:
        raise not_found("There is no such replay here.")
    return json_response(found)


async def letters(request: web.Request) -> web.Response:
    await caller(request)
    return json_response({"dead_letters": await request.app[PARTS].letters.newest(200)})


async def replay_letter(request: web.Request) -> web.Response:
    who = await caller(request)
    parts, letter_id = request.app[PARTS], uuid_at(request, "letter_id")
    row = await parts.letters.find(letter_id)
    if row is None:
        raise not_found("There is no such dead letter.")
    try:
        await dead_letters.take_again(row, parts.opener, parts.ingest)
    except dead_letters.NotOurs:
        text = f"{row['service']} refused this record of {row['topic']}; only that service can take it again."
        raise Problem(409, "not-replayable-here", text) from None
    except (SealBroken, UnknownKey):
        raise Problem(409, "dead-letter-unreadable", "The key that opens this dead letter is not here.") from None
    await parts.letters.mark(letter_id, who.name)
    return json_response({"id": letter_id, "taken": True}, 202)
