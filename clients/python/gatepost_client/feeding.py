"""Feed logins whose password step you did: in batches, each login once, no faster than Gatepost takes them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any, Final
from urllib.parse import quote

import msgspec

from gatepost_client.answers import Channel, Fed, FedLogin, Login, SignedIn, fed
from gatepost_client.errors import TooMany
from gatepost_client.logins import key, login_state, signed_in, understood
from gatepost_client.transport import LONGEST_PAUSE, Pause, Transport

PATH: Final = "/v1/feed/logins"
MOST: Final = 500
LARGEST: Final = 1024 * 1024 - 64


class Feed:
    """Needs a client of the users' account with scope `feed`."""

    def __init__(self, gateway: Transport, pause: Pause) -> None:
        self._gateway = gateway
        self._pause = pause
        self._free_at = 0.0

    async def send(
        self, logins: Iterable[FedLogin] | AsyncIterable[FedLogin], *, batch: int = 100, at_once: int = 2
    ) -> AsyncGenerator[Fed, None]:
        """What became of each, in order. `logins` is read only as fast as answers come; on 429 every batch waits for
        `Retry-After`, for as long as it takes. A batch whose answer was lost is sent again: a reference opens once.

        Raises `BadClient`, `Forbidden`, `FeedStopped`, `Unavailable`; what was not answered may be sent again.
        """
        waiting: list[asyncio.Task[list[Fed]]] = []
        try:
            async for items in _batches(logins, min(batch, MOST)):
                waiting.append(asyncio.create_task(self._batch(items)))
                if len(waiting) >= at_once:
                    for each in await waiting.pop(0):
                        yield each
            while waiting:
                for each in await waiting.pop(0):
                    yield each
        finally:
            await _ended(waiting)

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
        body = b'{"logins":[' + b",".join(items) + b"]}"
        headers = {"Content-Type": "application/json"}
        clock = asyncio.get_running_loop().time
        while True:
            if (wait := self._free_at - clock()) > 0:
                await self._pause(wait)
            try:
                answer = await self._gateway.call("POST", PATH, data=body, headers=headers)
                return [understood(fed, each) for each in answer.get("logins", [])]
            except TooMany as full:
                self._free_at = max(self._free_at, clock() + min(full.retry_after, LONGEST_PAUSE))


async def _batches(logins: Iterable[FedLogin] | AsyncIterable[FedLogin], most: int) -> AsyncIterator[list[bytes]]:
    """Encoded logins, as many as one body holds."""
    items, size = list[bytes](), 0
    async for login in _each(logins):
        item = msgspec.json.encode(login)
        if items and (len(items) >= most or size + len(item) > LARGEST):
            yield items
            items, size = [], 0
        items.append(item)
        size += len(item) + 1
    if items:
        yield items


async def _each(logins: Iterable[FedLogin] | AsyncIterable[FedLogin]) -> AsyncIterator[FedLogin]:
    if isinstance(logins, AsyncIterable):
        async for login in logins:
            yield login
    else:
        for login in logins:
            yield login


async def _ended(tasks: list[asyncio.Task[list[Fed]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _path(reference: str) -> str:
    return f"{PATH}/{quote(reference, safe='')}"
