"""The log added up by the minute: every line once, whoever does it and whenever it stops."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from services.delivery.figures import Adder, figures_of
from services.delivery.house import House
from services.delivery.postgres.minutes import PostgresMinutes
from services.platform.clock import new_id
from tests.integration.delivery.house import own_house
from tests.integration.delivery.world import until

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
# channel, provider, what, reason, ms; and what it counts as
LINES: list[tuple[tuple[Any, ...], set[str]]] = [
    (("sms", None, "queued", None, None), {"made"}),
    (("sms", None, "replayed", None, None), {"made"}),
    (("email", None, "queued", "providers-busy", None), set()),
    (("sms", "twilio", "sent", None, 40), {"taken"}),
    (("email", "webhook", "delivered", None, 3), {"taken"}),
    (("sms", "twilio", "queued", "provider-busy", 9), {"refused"}),
    (("sms", "twilio", "failed", "provider-credentials", 9), {"refused", "lost"}),
    (("sms", "twilio", "failed", "invalid-number:21211", 9), {"wrong_number", "lost"}),
    (("sms", "twilio", "doubted", "provider-silent", 4000), {"refused"}),
    (("sms", "twilio", "late_result", "sent", 5000), set()),
    (("sms", "twilio", "delivered", None, None), {"arrived"}),
    (("sms", "twilio", "undelivered", "unreachable", None), {"not_arrived", "lost"}),
    (("sms", "twilio", "unknown", "no-receipt", None), {"no_receipt", "lost"}),
    (("sms", None, "expired", "too-late", None), {"lost"}),
    (("email", None, "cancelled", "verified", None), set()),
    ((None, None, "login_closed", "verified", None), set()),
]
LINE = """
INSERT INTO delivery_log (at, login_id, delivery_id, channel, provider, what, reason, ms)
VALUES (now() - $1::interval, $2, $2, $3, $4, $5, $6, $7)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whole(stack: Stack) -> AsyncIterator[House]:
    async with own_house(stack) as made:
        yield made


@pytest_asyncio.fixture
async def house(whole: House) -> House:
    """With an empty log; what was added up before is passed."""
    await whole.pool.execute("DELETE FROM delivery_log")
    await whole.pool.execute("DELETE FROM delivery_minutes")
    return whole


async def write(house: House, line: tuple[Any, ...], ago: timedelta = MINUTE, login: UUID | None = None) -> None:
    await house.pool.execute(LINE, ago, login or new_id(), *line)


async def seen(house: House) -> Counter[str]:
    """What a chart of the last hour has, whether it was added up already or not."""
    counts: Counter[str] = Counter()
    for one in (await PostgresMinutes(house.pool).read(HOUR, MINUTE)).sums:
        counts[one.what] += one.many
    return counts


async def added(house: House) -> int:
    return int(await house.pool.fetchval("SELECT coalesce(sum(many), 0) FROM delivery_minutes"))


@pytest.mark.parametrize(("line", "words"), LINES, ids=[f"{line[2]}-{line[3]}" for line, _ in LINES])
@pytest.mark.parametrize("adds", [False, True], ids=["read-from-the-log", "added-up"])
async def test_a_line_counts_as_what_it_says(house: House, line: tuple[Any, ...], words: set[str], adds: bool):
    await write(house, line)
    if adds:
        await PostgresMinutes(house.pool).add(100)
        assert await added(house) == len(words)
    assert await seen(house) == Counter(words)


async def test_what_operators_hold_back_is_one_message_however_often_it_is_looked_at(house: House):
    login = new_id()
    for _ in range(4):
        await write(house, ("sms", None, "queued", "paused", None), login=login)
    assert await seen(house) == {"made": 1}
    await PostgresMinutes(house.pool).add(100)
    assert await seen(house) == {"made": 1}


async def test_every_line_is_added_once_whoever_adds_and_however_few_at_a_time(house: House):
    for _ in range(60):
        await write(house, ("sms", "twilio", "sent", None, 40))
    ones = [PostgresMinutes(house.pool) for _ in range(4)]
    while await added(house) < 60:
        await asyncio.gather(*(one.add(7) for one in ones))
        assert (await seen(house))["taken"] == 60
    assert not await ones[0].add(7)
    assert await added(house) == 60


async def test_what_may_still_be_overtaken_waits_and_is_shown_all_the_same(house: House):
    """Ids are given before commits: a line that is younger than that may take is not passed."""
    await write(house, ("sms", "twilio", "sent", None, 40))
    await write(house, ("sms", "twilio", "sent", None, 40), ago=timedelta(seconds=5))
    await write(house, ("sms", "twilio", "sent", None, 40))
    await PostgresMinutes(house.pool).add(100)
    assert await added(house) == 1
    assert (await seen(house))["taken"] == 3


async def test_one_who_died_in_the_middle_leaves_nothing_behind(house: House):
    await write(house, ("sms", "twilio", "sent", None, 40))
    async with house.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM delivery_minutes_place FOR UPDATE")
        assert not await PostgresMinutes(house.pool).add(100)  # another is at it: it goes on with something else
        assert await added(house) == 0
    adding = asyncio.create_task(Adder(PostgresMinutes(house.pool)).run())

    async def there() -> bool | None:
        return await added(house) == 1 or None

    await until(there, 15, "one line added up")
    adding.cancel()


async def test_days_that_are_over_are_forgotten(house: House):
    await write(house, ("sms", "twilio", "sent", None, 40), ago=3 * DAY)
    await write(house, ("sms", "twilio", "sent", None, 40), ago=DAY / 2)
    minutes = PostgresMinutes(house.pool)
    await minutes.add(100)
    await minutes.tidy()
    assert await added(house) == 1
    assert sum(point.taken for point in figures_of("day", await minutes.read(DAY, 10 * MINUTE)).points) == 1
    assert await seen(house) == {}
