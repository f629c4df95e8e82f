"""What a scrape reads, and what it says when it cannot."""

import asyncio
import math

import pytest

from services.platform import metering, metrics
from services.platform.metering import Measure


class Database:
    def __init__(self) -> None:
        self.reads = 0
        self.away = False
        self.hangs = False
        self.now = 100.0

    async def read(self) -> None:
        self.reads += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise ConnectionRefusedError
        metrics.OUTBOX_WAITING.set(7)

    def measure(self) -> Measure:
        return Measure(metrics.CLOSED, metrics.DATABASE_UP, self.read, lambda: self.now)


def waiting() -> float:
    return float(metrics.OUTBOX_WAITING._value.get())


def up() -> float:
    return float(metrics.DATABASE_UP._value.get())


async def test_the_database_is_read_once_in_two_seconds_however_many_scrape():
    database = Database()
    measure = database.measure()
    await asyncio.gather(*(measure() for _ in range(50)))
    assert (database.reads, waiting(), up()) == (1, 7, 1)
    database.now += 2
    await measure()
    assert database.reads == 2


async def test_a_database_that_is_away_leaves_no_number_and_says_so():
    database = Database()
    measure = database.measure()
    await measure()
    database.away, database.now = True, database.now + 5
    await measure()
    assert math.isnan(waiting())
    assert up() == 0
    database.away, database.now = False, database.now + 5
    await measure()
    assert (waiting(), up()) == (7, 1)


async def test_a_database_that_hangs_does_not_hang_the_scrape(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metering, "PATIENCE_SECONDS", 0.05)
    database = Database()
    database.hangs = True
    async with asyncio.timeout(5):
        await database.measure()()
    assert up() == 0


@pytest.mark.parametrize(
    ("found", "label"), [("GB", "GB"), (None, "none"), ("001", "other"), ("ZZ", "other"), ("", "other")]
)
def test_a_country_is_one_of_the_worlds(found: str | None, label: str):
    assert metering.country(found) == label


def test_a_word_that_nobody_bounded_is_cut():
    assert len(metering.word("x" * 500)) == metering.LONGEST_LABEL
