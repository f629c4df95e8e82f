"""What the rules may rely on when they count: the same on Postgres and on the twin in memory."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

import pytest
import pytest_asyncio

from services.login_gateway.ports import Counters, Rule, StillBusy
from services.login_gateway.postgres import counters
from services.login_gateway.postgres.counters import PostgresCounters
from tests.fakes import MemoryCounters
from tests.integration.gateway_login.world import Desk

HOUR, DAY = Rule(3, 3600), Rule(5, 86_400)
LET_PASS = """
UPDATE counters SET hits = ARRAY(SELECT h - make_interval(secs => $2) FROM unnest(hits) h),
    under_way = ARRAY(SELECT u - make_interval(secs => $2) FROM unnest(under_way) u)
WHERE name = ANY($1::bytea[])
"""


class Case(NamedTuple):
    """Counters, two names that nobody has counted yet, and a way to let time pass."""

    counters: Counters
    one: bytes
    other: bytes
    passes: Callable[[float], Awaitable[object]]


@pytest_asyncio.fixture(params=["postgres", "memory"])
async def case(request: pytest.FixtureRequest, desk: Desk) -> AsyncIterator[Case]:
    names = (os.urandom(16), os.urandom(16))
    if request.param == "postgres":
        yield Case(PostgresCounters(desk.pool), *names, lambda seconds: desk.pool.execute(LET_PASS, names, seconds))
        return
    memory = MemoryCounters()

    async def passes(seconds: float) -> None:
        memory.now += timedelta(seconds=seconds)

    yield Case(memory, *names, passes)


async def taken(case: Case, times: int, *rules: Rule) -> int:
    return sum([await case.counters.take(([case.one], rules or [HOUR])) for _ in range(times)])


async def test_as_many_are_taken_as_the_rule_says(case: Case) -> None:
    assert await taken(case, 5) == 3
    assert await case.counters.take(([case.other], [HOUR]))


async def test_parallel_calls_take_no_more(case: Case) -> None:
    took = await asyncio.gather(*(case.counters.take(([case.one], [HOUR])) for _ in range(30)))
    assert sum(took) == 3


async def test_every_rule_holds_over_its_own_time(case: Case) -> None:
    assert await taken(case, 4, HOUR, DAY) == 3
    await case.passes(3700)
    assert await taken(case, 4, HOUR, DAY) == 2
    await case.passes(86_400)
    assert await taken(case, 1, HOUR, DAY) == 1


async def test_all_names_are_counted_or_none(case: Case) -> None:
    assert await taken(case, 3) == 3
    assert not await case.counters.take(([case.other, case.one], [HOUR]))
    assert sum([await case.counters.take(([case.other], [HOUR])) for _ in range(4)]) == 3


async def test_each_name_has_rules_of_its_own_and_all_are_counted_or_none(case: Case) -> None:
    once, often = ([case.one], [Rule(1, 3600)]), ([case.other], [HOUR, DAY])
    assert await case.counters.take(often, once)
    assert not await case.counters.take(often, once)
    assert sum([await case.counters.take(often) for _ in range(4)]) == 2
    await case.passes(3700)
    assert await case.counters.take(often, once)
    assert sum([await case.counters.take(often) for _ in range(4)]) == 1


async def test_what_is_given_back_can_be_taken_again(case: Case) -> None:
    assert await taken(case, 3) == 3
    await case.counters.give_back([case.one])
    assert await taken(case, 2) == 1
    await case.counters.give_back([case.other])
    assert await case.counters.take(([case.other], [HOUR]))


async def test_a_guess_counts_only_when_it_was_wrong(case: Case) -> None:
    for wrong in (True, False, True, False, True):
        assert await case.counters.begin(case.one, HOUR)
        await case.counters.end([case.one], wrong)
    assert not await case.counters.begin(case.one, HOUR)
    await case.passes(3700)
    assert await case.counters.begin(case.one, HOUR)


async def test_a_guess_waits_for_those_under_way_and_not_for_ever(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "PATIENCE_SECONDS", 0.3)
    single = Rule(1, 3600)
    assert await case.counters.begin(case.one, single)
    with pytest.raises(StillBusy):
        await case.counters.begin(case.one, single)
    await case.counters.end([case.one], wrong=True)
    assert not await case.counters.begin(case.one, single)


async def test_a_guess_whose_gateway_died_is_in_nobodys_way_after_a_minute(case: Case) -> None:
    for _ in range(3):
        assert await case.counters.begin(case.one, HOUR)
    await case.passes(61)
    for _ in range(3):
        assert await case.counters.begin(case.one, HOUR)


async def test_a_wrong_guess_that_took_longer_than_a_minute_counts(case: Case) -> None:
    for _ in range(3):
        assert await case.counters.begin(case.one, HOUR)
    await case.passes(61)
    assert await case.counters.begin(case.one, HOUR)
    for _ in range(3):
        await case.counters.end([case.one], wrong=True)
    assert not await case.counters.begin(case.one, HOUR)


async def test_what_stood_in_the_way_and_has_ended_is_no_wrong_password(desk: Desk) -> None:
    single, name = Rule(1, 3600), os.urandom(16)
    assert await PostgresCounters(desk.pool).begin(name, single)

    class EndsAfterTheFirstLook:
        async def fetchval(self, query: str, *values: object) -> object:
            found = await desk.pool.fetchval(query, *values)
            if query == counters.BEGIN and not found:
                await PostgresCounters(desk.pool).end([name], wrong=False)
            return found

    assert await PostgresCounters(EndsAfterTheFirstLook()).begin(name, single)


async def test_many_end_at_once_and_none_stands_in_anothers_way(case: Case) -> None:
    """A right password ends two counts, and many of one user from one address end the same two."""
    many = Rule(10_000, 3600)

    async def come() -> None:
        for _ in range(20):
            assert await case.counters.begin(case.one, many)
            assert await case.counters.begin(case.other, many)
            await case.counters.end([case.one, case.other], wrong=False)

    await asyncio.gather(*(come() for _ in range(40)))
