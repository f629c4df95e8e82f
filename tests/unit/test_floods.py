"""Many bad records at once: their dead letters do not wait for each other, or whoever may write to a topic could hold
up for minutes, with a few kilobytes, what comes behind.
"""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

from schemas import topics
from services.delivery.ingest import Ingest
from services.platform.keys.grants import Verifier
from services.session_store.writer import Writer

MANY = 50


class Letters:
    """A send ends when all of them have begun."""

    def __init__(self) -> None:
        self._all = asyncio.Barrier(MANY)

    async def send(self, record: Any, reason: str) -> None:
        async with asyncio.timeout(10):
            await self._all.wait()


def bad_ones(topic: topics.Topic) -> list[Any]:
    return [SimpleNamespace(topic=topic.name, key=b"k", value=b"{}", headers=()) for _ in range(MANY)]


async def test_deliverys_dead_letters_go_out_side_by_side():
    nothing: Any = None
    ingest = Ingest(nothing, nothing, nothing, nothing, Letters(), nothing)
    assert await ingest.outcomes(bad_ones(topics.LOGIN_OUTCOMES)) == MANY


async def test_the_session_stores_too():
    nothing: Any = None
    clock: Any = SimpleNamespace(now=time.time)
    letters: Any = Letters()
    writer = Writer(nothing, clock, nothing, Verifier(nothing), letters)
    assert await writer._read(bad_ones(topics.SESSION_EVENTS)) == []
