"""Who waits for a session that has not arrived yet: read your own login, without asking again and again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from uuid import UUID

NEAR_SECONDS: Final = 0.1
AGAIN_SECONDS: Final = 0.25


class Arrivals:
    """`told` wakes those who wait for that login."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, set[asyncio.Event]] = {}

    def told(self, login_id: UUID) -> None:
        for arrived in self._waiting.get(login_id, ()):
            arrived.set()

    @contextmanager
    def of(self, login_id: UUID) -> Iterator[asyncio.Event]:
        """Set whenever something about the login is told, from now on."""
        arrived = asyncio.Event()
        others = self._waiting.setdefault(login_id, set())
        others.add(arrived)
        try:
            yield arrived
        finally:
            others.discard(arrived)
            if not others:
                self._waiting.pop(login_id, None)


async def soon(arrived: asyncio.Event, seconds: float) -> None:
    """Return when it is set, or after that time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await arrived.wait()
