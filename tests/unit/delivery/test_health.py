"""The reading of how delivery is: many ask, the database is asked once."""

import asyncio
from datetime import UTC, datetime
from unittest.mock import Mock

from services.delivery.health import Checkup, Read, Recent, Stand, Standing, Waiting
from services.platform.clock import SystemClock


class Vitals:
    def __init__(self) -> None:
        self.reads = 0
        self.broken = False

    async def read(self) -> Read:
        self.reads += 1
        await asyncio.sleep(0.01)
        if self.broken:
            raise OSError
        return Read(
            now=datetime.now(UTC),
            waiting=Waiting(due=0, oldest_seconds=0, held_back=0, overdue=0),
            outbox=Standing(waiting=0, oldest_seconds=0, parked=0),
            recent=Recent(sms=0, fallbacks=0, providers=[], guarded={}),
            dead_letters=0,
            paused=[],
            providers=[],
            migrations=[],
        )

    async def stand(self) -> Stand:
        return await self.read()


async def test_many_who_ask_at_once_get_one_reading():
    vitals = Vitals()
    checkup = Checkup(vitals, Mock(return_value=[]), SystemClock())
    found = await asyncio.gather(*(checkup.health() for _ in range(50)))
    assert vitals.reads == 1
    assert len({id(one) for one in found}) == 1


async def test_one_reading_that_fails_takes_none_of_the_others():
    vitals = Vitals()
    vitals.broken = True
    checkup = Checkup(vitals, Mock(return_value=[]), SystemClock())
    failed = asyncio.create_task(checkup.health())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(checkup.health())
    assert isinstance((await asyncio.gather(failed, return_exceptions=True))[0], OSError)
    vitals.broken = False
    assert (await waiting).waiting.due == 0
