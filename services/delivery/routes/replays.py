"""`/v1/replays`."""

import re
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from aiohttp import web

from services.delivery import replay
from services.delivery.deliveries import LIMIT, Wanted
from services.delivery.routes.parts import PARTS, Parts, caller, not_found, only_account
from services.platform.auth import Who
from services.platform.clock import in_utc, new_id
from services.platform.http import Problem, body, json_response, query, too_many

END: Final = (datetime(9999, 1, 1, tzinfo=UTC), "", "")


class OneQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ids are an account's own: who may see several names one, or gets the newest."""

    account: UUID | None = None


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    account: UUID | None = None
    cursor: str | None = None
    limit: int = 50


async def create(request: web.Request) -> web.Response:
    given = await body(request, replay.Request)
    who = await caller(request, given.account)
    parts = request.app[PARTS]
    asked = asked_of(parts, msgspec.structs.replace(given, account=only_account(who, given.account)))
    now = parts.clock.now()
    if given.dry_run:
        counted = await replay.count(parts.replays, asked.wanted, now, parts.limits)
        return json_response({"dry_run": True, "per_second": asked.per_second} | msgspec.to_builtins(counted))
    made = await created(parts, asked, who, now)
    return json_response(made, 200 if made.repeated else 202)


async def created(parts: Parts, asked: replay.Asked, who: Who, now: datetime) -> replay.Replay:
    """Begun here and now. Raises 409 `replay-id-taken` or `replay-running`, 429 `too-many-replays`."""
    try:
        made = await replay.create(parts.replays, asked, who, now, parts.limits)
    except replay.TooManyReplays:
        raise too_many("too-many-replays", "Ten replays a minute are enough. Try again in a minute.", 60) from None
    except replay.AnotherRuns as other:
        raise _another_runs(str(other)) from None
    except replay.IdTaken:
        text = f"The replay {asked.replay_id} has another filter. Choose another replay_id, or none."
        raise Problem(409, "replay-id-taken", text) from None
    parts.sender.wake()
    parts.replayer.wake()
    return made


def _another_runs(replay_id: str) -> Problem:
    text = f"The replay {replay_id} is not over. Wait for its end, or stop it, then make this one."
    return Problem(409, "replay-running", text, replay_id=replay_id)


def asked_of(parts: Parts, given: replay.Request) -> replay.Asked:
    replay_id = given.replay_id or str(new_id())
    if not re.fullmatch(replay.ID_FORM, replay_id):
        raise Problem(400, "bad-request", "replay_id takes 1 to 64 letters, digits, dashes and underscores.")
    ceiling = parts.settings.replays_per_second_most
    per_second = given.per_second or min(parts.settings.replays_per_second, ceiling)
    if per_second > ceiling:
        raise Problem(400, "bad-request", f"per_second goes up to {ceiling:g} here (GATEPOST_REPLAYS_PER_SECOND_MOST).")
    wanted = Wanted(**{name: getattr(given, name) for name in replay.FILTERS})
    return replay.Asked(replay.account_in(wanted), replay_id, wanted, per_second, given.per_second is None)


async def listed(request: web.Request) -> web.Response:
    asked = query(request, ListQuery)
    who = await caller(request, asked.account)
    account, limit = only_account(who, asked.account), min(max(asked.limit, 1), LIMIT)
    place = before(asked.cursor)
    found = await request.app[PARTS].replays.page(str(account) if account else None, place, limit + 1)
    after = cursor_of(found[limit - 1]) if len(found) > limit else None
    return json_response({"replays": found[:limit], "next": after})


async def show(request: web.Request) -> web.Response:
    asked = query(request, OneQuery)
    who = await caller(request, asked.account)
    return json_response(await _found(request, only_account(who, asked.account)))


async def stop(request: web.Request) -> web.Response:
    asked = query(request, OneQuery)
    who = await caller(request, asked.account)
    account = only_account(who, asked.account)
    found = await _found(request, account)
    await request.app[PARTS].replays.stop(found.account, found.replay_id, who)
    return json_response(await _found(request, account))


async def _found(request: web.Request, account: UUID | None) -> replay.Replay:
    replay_id = request.match_info["replay_id"]
    found = await request.app[PARTS].replays.find(replay_id, str(account) if account else None)
    if found is None:
        raise not_found("There is no such replay here.")
    return found


def cursor_of(last: replay.Replay) -> str:
    return f"{last.at.isoformat().replace('+00:00', 'Z')}~{last.account}~{last.replay_id}"


def before(cursor: str | None) -> tuple[datetime, str, str]:
    if cursor is None:
        return END
    try:
        at, account, replay_id = cursor.split("~")
        return in_utc(datetime.fromisoformat(at)), account, replay_id
    except ValueError:
        raise Problem(400, "bad-request", "The cursor is not one that this list gave.") from None
