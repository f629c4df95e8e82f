"""Writes that are ready together go together, and each caller hears of its own."""

import asyncio
from collections.abc import Sequence

import pytest

from services.delivery.postgres.groups import AT_ONCE, MOST, Group


class Database:
    """Writes numbers while it is open; `bad` ones it refuses, `away` says that nobody answers."""

    def __init__(self) -> None:
        self.open, self.away, self.bad = asyncio.Event(), False, set[int]()
        self.begun: list[list[int]] = []

    async def __call__(self, numbers: Sequence[int]) -> list[bool]:
        self.begun.append(list(numbers))
        await self.open.wait()
        if self.away:
            raise ConnectionResetError
        if self.bad & set(numbers):
            raise LookupError
        return [number % 2 == 0 for number in numbers]


async def begin(group: Group[int, bool], numbers: Sequence[int]) -> list["asyncio.Task[bool]"]:
    """Callers that came one after the other, each seen by the group before the next."""
    tasks = []
    for number in numbers:
        tasks.append(asyncio.create_task(group.add(number)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def test_nobody_waits_for_company_and_who_comes_meanwhile_goes_together() -> None:
    database = Database()
    tasks = await begin(Group(database), range(AT_ONCE + 3))
    alone = [[number] for number in range(AT_ONCE)]
    assert database.begun == alone
    database.open.set()
    assert await asyncio.gather(*tasks) == [number % 2 == 0 for number in range(AT_ONCE + 3)]
    assert database.begun == [*alone, list(range(AT_ONCE, AT_ONCE + 3))]


async def test_callers_of_one_moment_are_one_group_up_to_the_limit() -> None:
    database = Database()
    database.open.set()
    group = Group(database)
    answers = await asyncio.gather(*(group.add(number) for number in range(MOST + 1)))
    assert answers == [number % 2 == 0 for number in range(MOST + 1)]
    assert sorted(map(len, database.begun)) == [1, MOST]


async def test_a_value_that_is_refused_fails_its_own_caller_only() -> None:
    database = Database()
    database.open.set()
    database.bad = {1}
    group = Group(database)
    found = await asyncio.gather(*(group.add(number) for number in range(3)), return_exceptions=True)
    assert (found[0], type(found[1]), found[2]) == (True, LookupError, True)
    assert database.begun == [[0, 1, 2], [0], [1], [2]]


async def test_while_the_database_is_away_every_caller_hears_it_at_once_and_may_come_again() -> None:
    database = Database()
    database.open.set()
    database.away = True
    group = Group(database)
    found = await asyncio.gather(*(group.add(number) for number in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [ConnectionResetError] * 3
    assert database.begun == [[0, 1, 2]]
    database.away = False
    assert await group.add(4)


async def test_who_gave_up_waiting_is_not_written_and_harms_nobody() -> None:
    database = Database()
    group = Group(database)
    tasks = await begin(group, range(AT_ONCE + 2))
    under_way, waiting = tasks[0], tasks[AT_ONCE]
    under_way.cancel()
    waiting.cancel()
    await asyncio.sleep(0)
    database.open.set()
    others = [task for task in tasks if task not in (under_way, waiting)]
    assert len(await asyncio.gather(*others)) == AT_ONCE
    assert database.begun[AT_ONCE:] == [[AT_ONCE + 1]]
    for task in (under_way, waiting):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await group.add(2)
