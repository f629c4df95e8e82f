"""A worker carries replays on: small steps, and no haste while the database is away."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.delivery import replay
from services.delivery.deliveries import Wanted
from services.delivery.replaying import Replayer, size_of_step
from tests.unit.delivery.jobs import NOW

LIMITS = replay.Limits(hour=5, day=20)


@pytest.mark.parametrize(("rate", "messages"), [(0.1, 1), (4, 1), (50, 12), (200, 50), (5000, 100)])
def test_a_step_is_a_quarter_of_a_second_and_at_most_a_hundred_messages(rate, messages):
    assert size_of_step(rate) == messages


class Steps:
    """Answers in turn; the last one for ever."""

    def __init__(self, *answers: float | Exception | None) -> None:
        self._answers, self.asked = list(answers), 0

    async def step(self) -> float | None:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def ran(steps: Steps, until: int, wake: bool = False) -> float:
    """Seconds until so many steps were asked for."""
    loop, sent = asyncio.get_running_loop(), list[int]()
    replayer, begun = Replayer(steps, lambda: sent.append(1)), loop.time()
    task = asyncio.create_task(replayer.run())
    try:
        async with asyncio.timeout(10):
            while steps.asked < until:
                await asyncio.sleep(0.005)
                if wake:
                    replayer.wake()
        return loop.time() - begun
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_next_step_comes_when_it_is_due_and_a_second_after_the_database_went_away():
    assert await ran(Steps(0.0, 0.0, 0.0), 3) < 0.9
    assert await ran(Steps(OSError(), None), 2) >= 0.9
    assert await ran(Steps(None), 2) >= 0.9


async def test_a_replay_that_is_made_here_is_begun_at_once():
    assert await ran(Steps(None), 3, wake=True) < 0.9


class Ledger:
    """So many failed deliveries, newest first; the older half is expired."""

    def __init__(self, count: int) -> None:
        self._rows = [_candidate(place, place >= count // 2) for place in range(count)]
        self.pages = 0

    async def candidates(self, of: Wanted, after: replay.Place | None, limit: int) -> list[replay.Candidate]:
        self.pages += 1
        begin = 0 if after is None else next(n for n, row in enumerate(self._rows) if row.id == after.id) + 1
        return self._rows[begin : begin + limit]

    async def count_without(self, of: Wanted) -> dict[str, int]:
        return {"reason": 7}


def _candidate(age: int, is_over: bool) -> replay.Candidate:
    ends = NOW + timedelta(seconds=-1 if is_over else 60)
    who = (uuid4(), uuid4(), "sms", uuid4(), uuid4().bytes, None)
    return replay.Candidate(*who, NOW - timedelta(seconds=age), ends, None, False, 0, 0, 0, 0)


async def counted(ledger: Any) -> replay.Counted:
    return await replay.count(ledger, Wanted(account=UUID(int=1)), NOW, LIMITS)


async def test_counting_goes_page_by_page():
    ledger = Ledger(2500)
    found = await counted(ledger)
    assert (found.matched, found.counts, found.more) == (2500, {"replayed": 1250, "expired": 1250}, False)
    assert ledger.pages == 3


async def test_counting_ends_somewhere_and_says_so(monkeypatch):
    monkeypatch.setattr(replay, "COUNTED_AT_MOST", 2000)
    found = await counted(Ledger(2500))
    assert (found.matched, found.more) == (2000, True)


async def test_where_nothing_matches_the_nearest_filter_is_named():
    assert (await counted(Ledger(0))).without == {"reason": 7}


def test_a_step_ends_with_the_message_that_makes_it_full():
    rows: Sequence[replay.Candidate] = [_candidate(n, is_over=n % 2 == 0) for n in range(20)]
    found = replay.sorted_out(rows, NOW, LIMITS, most=3)
    assert ([one.id for one in found.chosen], found.looked) == ([rows[n].id for n in (1, 3, 5)], 6)
    assert found.counts == {"replayed": 3, "expired": 3}
