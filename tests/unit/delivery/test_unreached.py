"""People whom no code reached are counted once for all who look within a few seconds."""

import asyncio
from datetime import UTC, datetime, timedelta

from services.delivery.unreached import FRESH_SECONDS, Headcount, Unreached

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)


class Ledger:
    def __init__(self) -> None:
        self.asked: list[datetime] = []

    async def unreached(self, since: datetime) -> Unreached:
        self.asked.append(since)
        await asyncio.sleep(0)
        return Unreached(len(self.asked), len(self.asked), more=False)


class Hands:
    """A clock that moves only when a test moves it."""

    seconds = 100.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


async def test_many_who_look_at_once_are_one_count_and_each_span_has_its_own():
    ledger, clock = Ledger(), Hands()
    headcount = Headcount(ledger, clock)
    found = await asyncio.gather(*(headcount.of("hour") for _ in range(5)))
    assert {one.people for one in found} == {1}
    assert (await headcount.of("day")).people == 2
    assert ledger.asked == [NOW - timedelta(hours=1), NOW - timedelta(days=1)]
    clock.seconds += FRESH_SECONDS - 0.1
    assert (await headcount.of("hour")).people == 1
    clock.seconds += 0.1
    assert (await headcount.of("hour")).people == 3
