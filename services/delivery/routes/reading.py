"""`GET /v1/deliveries`, `/v1/deliveries/stream`, `/v1/timelines/{login_id}`."""

import asyncio
from uuid import UUID

import msgspec
from aiohttp import web

from services.delivery import deliveries
from services.delivery.routes.parts import PARTS, caller, not_found, only_account, uuid_at
from services.platform.http import Problem, json_response, query
from services.platform.postgres import AWAY

POLL_SECONDS = 0.5
QUIET_SECONDS = 15.0
AT_ONCE = 500


async def listed(request: web.Request) -> web.Response:
    asked = query(request, deliveries.ListQuery)
    who = await caller(request, asked.account)
    asked = msgspec.structs.replace(asked, account=only_account(who, asked.account))
    try:
        return json_response(await deliveries.page(request.app[PARTS].reading, asked))
    except deliveries.BadCursor:
        raise Problem(400, "bad-request", "The cursor is not one that this list gave.") from None


async def timeline(request: web.Request) -> web.Response:
    who = await caller(request)
    found = await request.app[PARTS].reading.timeline(uuid_at(request, "login_id"), deliveries.account_of(who))
    if found is None:
        raise not_found("There is no such login here.")
    return json_response(found)


async def stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events, one a log line; `Last-Event-ID` goes on where a connection broke."""
    who = await caller(request)
    account = deliveries.account_of(who)
    reading = request.app[PARTS].reading
    last = _last_seen(request)
    last = await reading.last_step() if last is None else last
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await answer.prepare(request)
    await answer.write(b": connected\n\n")
    await _follow(answer, reading, account, last)
    return answer


async def _follow(answer: web.StreamResponse, reading: deliveries.Reading, account: UUID | None, last: int) -> None:
    """Log ids are given before commits, so the newest lines are read twice and shown once."""
    shown: set[int] = set()
    quiet = 0.0
    while True:
        steps = await _steps(reading, last - AT_ONCE // 2)
        fresh = [s for s in steps if s.id not in shown and s.id > last - AT_ONCE // 2]
        fresh = fresh if shown else [s for s in fresh if s.id > last]
        shown |= {step.id for step in steps}
        for step in fresh:
            if account is None or step.account == account:
                await answer.write(b"id: %d\nevent: step\ndata: %s\n\n" % (step.id, msgspec.json.encode(step)))
        last = max([last, *(step.id for step in steps)])
        shown = {i for i in shown if i > last - AT_ONCE} | {last}
        quiet = 0.0 if fresh else quiet + POLL_SECONDS
        if quiet >= QUIET_SECONDS:
            await answer.write(b": quiet\n\n")
            quiet = 0.0
        await asyncio.sleep(POLL_SECONDS)


async def _steps(reading: deliveries.Reading, after: int) -> list[deliveries.Step]:
    try:
        return await reading.steps_after(after, AT_ONCE)
    except AWAY:
        return []


def _last_seen(request: web.Request) -> int | None:
    given = request.headers.get("Last-Event-ID", "")
    return int(given) if given.isdecimal() and len(given) < 19 else None
