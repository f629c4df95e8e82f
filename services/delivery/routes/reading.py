"""`GET /v1/deliveries`, `/v1/deliveries/stream`, `/v1/timelines/{login_id}`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import structlog
from aiohttp import web

from services.delivery import deliveries
from services.delivery.routes.parts import PARTS, caller, not_found, only_account, uuid_at
from services.delivery.tail import MOST_FOLLOWERS, MOST_OF_ONE, Follower, Tail, TooManyFollowers
from services.platform.http import Problem, json_response, query, too_many

log = structlog.get_logger()

QUIET_SECONDS: Final = 15.0
STUCK_SECONDS: Final = 10.0
CHECK_SECONDS: Final = 15.0
NOT_ANY_MORE: Final = frozenset({401, 403, 404})
TOO_SLOW: Final = b"""event: dropped
data: {"reason": "too-slow", "detail": "More steps came than you read. Connect again with Last-Event-ID, or filter."}

"""


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
        raise not_found("Delivery has no message of such a login. `gatepost deliveries list` shows what it has.")
    return json_response(found)


async def stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events, one a step; `Last-Event-ID` goes on where a connection broke."""
    asked = query(request, deliveries.StreamQuery)
    who = await caller(request, asked.account)
    asked = msgspec.structs.replace(asked, account=only_account(who, asked.account))
    may_still = partial(_may_still, request, asked.account)
    return await tell(request, asked, Telling(last_seen(request), msgspec.json.encode, may_still))


class Telling(NamedTuple):
    """`seen` is the last line that the reader has, `data` makes one line of a step, `person` is who reads."""

    seen: int | None
    data: Callable[[deliveries.Step], bytes]
    may_still: Callable[[], Awaitable[bool]]
    person: str | None = None


async def tell(request: web.Request, asked: deliveries.StreamQuery, how: Telling) -> web.StreamResponse:
    """To whoever was let in. Raises 429 `too-many-streams`."""
    tail = request.app[PARTS].tail
    await tail.begin()
    try:
        with tail.follow(asked, how.seen, how.person) as follower:
            return await _told(request, tail, follower, how)
    except TooManyFollowers:
        most = f"{MOST_FOLLOWERS}, {MOST_OF_ONE} of one account or person"
        detail = f"As many streams are open at this worker as it takes ({most}). Close one, or try again in a minute."
        raise too_many("too-many-streams", detail, 60) from None


async def _told(request: web.Request, tail: Tail, follower: Follower, how: Telling) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    answer.headers["X-Accel-Buffering"] = "no"
    await answer.prepare(request)
    line = _Line(answer, how.data)
    await line.write(b": connected\nretry: 1000\n\n")
    try:
        if how.seen is not None:
            async for found in tail.past(follower.asked, how.seen, follower.since):
                for step in found:
                    await line.step(step, shown=follower.asked.takes(step))
        await _follow(line, follower, how.may_still)
    except ConnectionResetError:
        pass  # the reader went away
    except TimeoutError:
        log.info("stream_reader_stuck")
        if request.transport is not None:
            request.transport.abort()
    return answer


async def _may_still(request: web.Request, account: UUID | None) -> bool:
    """A client that was disabled, a session that was ended. While nobody can tell, whoever was let in stays."""
    try:
        await caller(request, account)
    except Problem as problem:
        return problem.status not in NOT_ANY_MORE
    return True


async def _follow(line: "_Line", follower: Follower, may_still: Callable[[], Awaitable[bool]]) -> None:
    checked = time.monotonic()
    while not (follower.too_slow or follower.over):
        step = await follower.next(min(QUIET_SECONDS, CHECK_SECONDS))
        if time.monotonic() - checked >= CHECK_SECONDS:
            if not await may_still():
                return
            checked = time.monotonic()
        await (line.step(step) if step is not None else line.write(b": quiet\n\n"))
    if follower.too_slow:
        log.info("stream_reader_too_slow")
        await line.write(TOO_SLOW)


class _Line:
    """One reader's connection. What it does not take within ten seconds ends it: `TimeoutError`."""

    def __init__(self, answer: web.StreamResponse, data: Callable[[deliveries.Step], bytes]) -> None:
        self._answer, self._data = answer, data

    async def write(self, data: bytes) -> None:
        await asyncio.wait_for(self._answer.write(data), STUCK_SECONDS)

    async def step(self, step: deliveries.Step, shown: bool = True) -> None:
        """A step that is not shown still says how far the reader has come."""
        what = b"event: step\ndata: %s\n" % self._data(step) if shown else b""
        await self.write(b"id: %d\n%s\n" % (step.id, what))


def last_seen(request: web.Request) -> int | None:
    given = request.headers.get("Last-Event-ID", "")
    return int(given) if given.isdecimal() and len(given) < 19 else None
