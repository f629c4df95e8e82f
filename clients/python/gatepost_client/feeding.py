"""Feed logins whose password step you did: in batches, each login once, no faster than Gatepost takes them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from gatepost_client.answers import Channel, Fed, FedLogin, Login, Refused, SignedIn, fed
from gatepost_client.budget import Budget, Pace
from gatepost_client.errors import TooMany
from gatepost_client.flow import each, in_order
from gatepost_client.logins import at_the_gateway, key, login_state, signed_in, understood
from gatepost_client.transport import LONGEST_PAUSE, Pause, Transport

PATH: Final = "/v1/feed/logins"
MOST: Final = 500
LARGEST: Final = 1024 * 1024 - 64
BUSY: Final = "busy"


class Feed:
    """Needs a client of the users' account with scope `feed`."""

    def __init__(self, gateway: Transport, pause: Pause) -> None:
        self._gateway = gateway
        self._pause = pause
        self._pace = Pace()
        self._free_at = 0.0

    @property
    def budget(self) -> Budget | None:
        """What the account may still feed, as the last answer said it; None before the first."""
        return self._pace.budget

    async def send(
        self, logins: Iterable[FedLogin] | AsyncIterable[FedLogin], *, batch: int = 100, at_once: int = 2
    ) -> AsyncGenerator[Fed, None]:
        """What became of each, in order. `logins` is read only as fast as answers come, and a call takes what is there,
        up to `batch`: who is slow waits for nobody. Calls wait for the budget that the answers tell, and on 429 for
        `Retry-After`, for as long as it takes. A batch whose answer was lost is sent again: a reference opens once. A
        login that somebody was in the way of (`busy`) is too, until it is opened or too old.

        Raises `BadClient`, `Forbidden`, `FeedStopped`, `Unavailable`; what was not answered may be sent again.
        """
        batches = _batches(logins, min(batch, MOST))
        async with aclosing(in_order(batches, self._batch, at_once)) as answers:
            async for answer in answers:
                for one in answer:
                    yield one

    async def verify(self, reference: str, code: str, *, idempotency_key: str | None = None) -> SignedIn:
        """Raises `WrongCode`, `LoginClosed`, `NotFound`, `TooMany`, `Unavailable`."""
        again = key(idempotency_key)
        return understood(signed_in, await self._about(reference, "/verify", json={"code": code}, headers=again))

    async def resend(self, reference: str, channel: Channel | None = None) -> Login:
        """Raises `TooMany` before `resend_at`, `Conflict` for a channel that is off, `LoginClosed`, `NotFound`."""
        body = {} if channel is None else {"json": {"channel": channel}}
        return understood(login_state, await self._about(reference, "/resend", again=False, **body))

    async def state(self, reference: str) -> Login:
        return understood(login_state, await self._gateway.call("GET", _path(reference)))

    async def _about(self, reference: str, what: str, **more: Any) -> dict[str, Any]:
        return await self._gateway.call("POST", _path(reference) + what, **more)

    async def _batch(self, items: list[bytes]) -> list[Fed]:
        found = await self._sent(items)
        while busy := [place for place, one in enumerate(found) if _is_busy(one)]:
            again = await self._sent([items[place] for place in busy])
            for place, one in zip(busy, again, strict=True):
                found[place] = one
        return found

    async def _sent(self, items: list[bytes]) -> list[Fed]:
        body = b'{"logins":[' + b",".join(items) + b"]}"
        while True:
            try:
                answer = await self._when_it_fits(len(items), body)
                return [understood(fed, one) for one in answer.get("logins", [])]
            except TooMany as full:
                self._free_at = max(self._free_at, _now() + min(full.retry_after, LONGEST_PAUSE))

    async def _when_it_fits(self, logins: int, body: bytes) -> dict[str, Any]:
        """The budget is what others leave of it, so that a call may still find none."""
        wait = max(self._pace.take(logins, _now()), self._free_at - _now())
        try:
            if wait > 0:
                await self._pause(wait)
            headers, asked_at = {"Content-Type": "application/json"}, _now()
            with at_the_gateway():
                return await self._gateway.call(
                    "POST", PATH, data=body, headers=headers, heard=lambda said: self._pace.told(said, _now(), asked_at)
                )
        finally:
            self._pace.answered(logins)


class _End(NamedTuple):
    error: Exception | None


async def _batches(
    logins: Iterable[FedLogin] | AsyncIterable[FedLogin], most: int
) -> AsyncGenerator[list[bytes], None]:
    """Encoded logins: what is there when a batch is asked for, at most as many as one body holds."""
    queue = asyncio.Queue[bytes | _End](most)

    async def read() -> None:
        error: Exception | None = None
        try:
            async with aclosing(each(logins)) as source:
                async for login in source:
                    await queue.put(msgspec.json.encode(login))
        except Exception as raised:
            error = raised
        await queue.put(_End(error))

    reading = asyncio.create_task(read())
    try:
        found = await queue.get()
        while isinstance(found, bytes):
            items, after = _filled(found, queue, most)
            yield items
            found = after or await queue.get()
        if found.error is not None:
            raise found.error
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def _filled(first: bytes, queue: asyncio.Queue[bytes | _End], most: int) -> tuple[list[bytes], bytes | _End | None]:
    """A batch, and what was taken out of the queue and does not belong to it."""
    items, size = [first], len(first)
    while len(items) < most and not queue.empty():
        found = queue.get_nowait()
        if not isinstance(found, bytes) or size + len(found) >= LARGEST:
            return items, found
        items.append(found)
        size += len(found) + 1
    return items, None


def _is_busy(one: Fed) -> bool:
    return isinstance(one.outcome, Refused) and one.outcome.reason == BUSY


def _now() -> float:
    return asyncio.get_running_loop().time()


def _path(reference: str) -> str:
    return f"{PATH}/{quote(reference, safe='')}"
