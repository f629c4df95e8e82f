"""`/operations/replays`: count what would be sent again, confirm, see how far it is."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web
from yarl import URL

from services.delivery import replay
from services.delivery.deliveries import NONE, Wanted
from services.delivery.operations import fields
from services.delivery.routes.guard import blocks
from services.delivery.routes.parts import PARTS, Parts, not_found
from services.delivery.routes.replays import asked_of, before, created, cursor_of
from services.delivery.terminal import words
from services.platform.auth import EVERY
from services.platform.clock import new_id
from services.platform.http import Problem
from services.platform.ui.console import ask_fresh, framed, sent, visitor
from services.platform.ui.pages import see_other

MOST: Final = 50
SETTLING: Final = timedelta(seconds=60)  # what was sent at last is on its way, and its receipts are
STATES: Final = ("failed", "undelivered", "unknown", "expired")


async def listed(request: web.Request) -> web.Response:
    await visitor(request)
    found = await request.app[PARTS].replays.page(None, before(request.query.get("cursor")), MOST + 1)
    older = URL("/operations/replays").with_query(cursor=cursor_of(found[MOST - 1])) if len(found) > MOST else None
    return framed(request, "replays.html", heading="Replays", replays=found[:MOST], older=older)


async def ask(request: web.Request) -> web.Response:
    """What would be sent again: counted, nothing is sent."""
    found = await visitor(request)
    ask_fresh(request, found.user)
    return await _counted(request, fields.query_of(request.query, replay.Request))


async def create(request: web.Request) -> web.Response:
    found, given = await sent(request)
    parts, read = request.app[PARTS], fields.read(given, replay.Request)
    if read.wrong:
        return await _counted(request, given, read.wrong)
    try:
        asked = asked_of(parts, read.value)
        made = await created(parts, asked, found.user, parts.clock.now())
    except Problem as problem:
        where = {"per_second": problem.detail} if problem.status == 400 else {"": problem.detail}
        return await _counted(request, given, where, problem)
    return see_other(address_of(made))


async def _counted(
    request: web.Request, typed: Mapping[str, str], wrong: Mapping[str, str] | None = None, why: Problem | None = None
) -> web.Response:
    parts, picked = request.app[PARTS], fields.read(typed, Wanted)
    counted = None
    if not picked.wrong:
        counted = await replay.count(parts.replays, picked.value, parts.clock.now(), parts.limits)
    wrong = {**picked.wrong, **(wrong or {})}
    sends_sms = counted is not None and counted.counts[replay.REPLAYED] and picked.value.channel != "email"
    return framed(
        request,
        "replay_new.html",
        why.status if why else 400 if request.method == "POST" else 200,
        heading="Send again",
        typed=typed,
        wrong=wrong,
        other=why.more.get("replay_id") if why else None,
        counted=counted,
        stopped=await _stopped_blocks(parts, picked.value) if sends_sms else 0,
        guard_page=guard_page(picked.value.account),
        replay_id=typed.get("replay_id") or str(new_id()),
        rate=_rate(parts, typed),
        most=parts.settings.replays_per_second_most,
        states=STATES,
        providers=await parts.controls.providers(),
    )


async def _stopped_blocks(parts: Parts, of: Wanted) -> int:
    """How many blocks of numbers the guard stops now."""
    return sum(block.standing == "stopped" for block in await blocks(parts, of.account))


def guard_page(account: object) -> URL:
    return URL("/operations/guard").with_query({"account": str(account)} if account else {})


def _rate(parts: Parts, typed: Mapping[str, str]) -> str:
    settings = parts.settings
    return typed.get("per_second") or f"{min(settings.replays_per_second, settings.replays_per_second_most):g}"


async def show(request: web.Request) -> web.Response:
    await visitor(request)
    found = await _found(request)
    judged = sum(found.counts.values())
    account = None if found.account == EVERY else found.account
    return framed(
        request,
        "replay.html",
        heading="Replay",
        replay=found,
        filter=msgspec.to_builtins(found.filter),
        judged=judged,
        missed=[_missed(found, one) for one in found.not_arrived or ()],
        guard_page=guard_page(account),
        moves=found.ended_at is None or request.app[PARTS].clock.now() - found.ended_at < SETTLING,
        skipped={name: many for name, many in sorted(found.counts.items()) if name != replay.REPLAYED and many},
        stop_address=f"/operations/replays/{found.replay_id}/stop",
    )


def _missed(of: replay.Replay, one: replay.Missed) -> dict[str, Any]:
    """With what it means, where one sees these messages, and how they are sent once more."""
    picked = {name: getattr(one, name) or NONE for name in ("state", "reason", "channel", "provider")}
    picked |= {"since": of.at.replace(microsecond=0).isoformat()}
    picked |= {} if of.account == EVERY else {"account": of.account}
    until = (
        {}
        if of.ended_at is None
        else {"until": (of.ended_at + timedelta(seconds=1)).replace(microsecond=0).isoformat()}
    )
    name = replay.cause_of(of.replay_id, of.account).removeprefix("replay:")
    step = {"what": one.state, "reason": one.reason, "provider": one.provider, "ms": 0}
    return msgspec.structs.asdict(one) | {
        "explained": words.explained(step),
        "messages": URL("/operations/messages").with_query(picked | until | {"replay": name}),
        "again": URL("/operations/replays/new").with_query(picked | until),
    }


async def stop(request: web.Request) -> web.Response:
    who, _ = await sent(request)
    found = await _found(request)
    await request.app[PARTS].replays.stop(found.account, found.replay_id, who.user)
    return see_other(address_of(found))


async def _found(request: web.Request) -> replay.Replay:
    """Ids are an account's own: `?account=` names it."""
    account: str | None = None
    try:
        given = request.query.get("account", "")
        account = str(UUID(given)) if given not in ("", "*") else given or None
    except ValueError:
        raise not_found("There is no such account.") from None
    found = await request.app[PARTS].replays.find(request.match_info["replay_id"], account)
    if found is None:
        raise not_found("There is no such replay.")
    return found


def address_of(found: replay.Replay) -> str:
    return str(URL(f"/operations/replays/{found.replay_id}").with_query(account=found.account))
