"""`/v1/guard`: what the pumping guard sees and stops, and what accounts want of it."""

from typing import Any
from uuid import UUID

from aiohttp import web

from services.delivery import guard, guard_view, prefixes
from services.delivery.guard import Own
from services.delivery.routes.parts import PARTS, Parts, caller, only_account, whose
from services.platform.auth import Who
from services.platform.http import Problem, body, json_response, query

NO_BEGINNING = "prefix is the beginning of numbers, with a plus sign: a block of a thousand or of ten thousand"
EXAMPLE = ["+44 7400 123•••", "+44 7400 12••••"]


async def show(request: web.Request) -> web.Response:
    asked = query(request, guard_view.GuardQuery)
    who = await caller(request, asked.account)
    account, parts = only_account(who, asked.account), request.app[PARTS]
    figures = [dict(row) for row in await parts.guarding.figures(account, asked.days)]
    return json_response({"figures": figures} | await seen(parts, account, asked.days))


async def seen(parts: Parts, account: UUID | None, days: int) -> dict[str, Any]:
    """What holds, what was stopped and spent, and the blocks of numbers; of all accounts where none is named."""
    return {
        "settings": guard_view.settings_of(Own(), parts.gate.rules(account))["in_force"],
        "stops": [dict(row) for row in await parts.guarding.stops(account, days)],
        "spent": [dict(row) for row in await parts.guarding.spent(account)],
        "prefixes": await blocks(parts, account),
    }


async def blocks(parts: Parts, account: UUID | None) -> list[guard_view.Block]:
    rows = await parts.guarding.prefixes(account)
    return guard_view.blocks(rows, parts.secrets.contacts, parts.gate.rules)


async def settings(request: web.Request) -> web.Response:
    account, _ = await whose(request)
    parts = request.app[PARTS]
    return _shown(parts, account, await parts.guarding.find(account))


async def change(request: web.Request) -> web.Response:
    account, who = await whose(request)
    parts, own = request.app[PARTS], await body(request, Own)
    await parts.guarding.put(account, own, who.name)
    return _shown(parts, account, own)


async def take_back(request: web.Request) -> web.Response:
    account, who = await whose(request)
    parts = request.app[PARTS]
    await parts.guarding.put(account, None, who.name)
    return _shown(parts, account, Own())


async def allow(request: web.Request) -> web.Response:
    account, who = await whose(request)
    asked = await body(request, guard_view.Allowed)
    known = await let_through(request.app[PARTS], account, asked, who)
    return json_response({"account": account, "prefix": asked.prefix, "hours": asked.hours, "known": known})


async def let_through(parts: Parts, account: UUID, asked: guard_view.Allowed, who: Who) -> bool:
    """Whether anything was sent to such numbers or, with 0 hours, whether they were let through. Also before anything
    was sent: a company whose phones begin alike signs in for the first time. Raises 400 for what no counter stands for.
    """
    digits = guard_view.beginning(asked.prefix)
    if digits is None:
        raise _no_block("+44")
    name = prefixes.hash_of(parts.secrets.search, digits)
    if asked.hours == 0:
        return await parts.guarding.end_lift(account, name, who.name)
    known = await parts.guarding.knows(account, name)
    if not known and not prefixes.may_be_block(digits):
        raise _no_block(digits)
    await parts.guarding.lift(account, name, parts.gate.seal(account, name, f"{digits}…"), asked.hours, who.name)
    return known


def _no_block(digits: str) -> Problem:
    thousand, ten_thousand = prefixes.blocks_like(digits) or EXAMPLE
    return Problem(400, "bad-request", f"{NO_BEGINNING}, like {thousand} or {ten_thousand}.")


def _shown(parts: Parts, account: object, own: Own) -> web.Response:
    rules = guard.rules_of(parts.gate.rules(None), own)
    return json_response({"account": account, **guard_view.settings_of(own, rules)})
