"""The live log: in order, each line once, bounded."""

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.delivery import tail
from services.delivery.deliveries import Found, ListQuery, Position, Step, StreamQuery, Timeline, told
from services.delivery.states import State
from services.delivery.tail import InOrder, Tail, TooManyFollowers

LOGIN, OTHER = UUID(int=1), UUID(int=2)


def step(number: int, **more) -> Step:
    return Step(id=number, at=datetime.now(UTC), what="sent", login_id=LOGIN, **more)


class Log:
    """`Reading` of a list."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    async def page(self, asked: ListQuery, after: Position | None, limit: int) -> Found:
        raise NotImplementedError

    async def timeline(self, login_id: UUID, account: UUID | None) -> Timeline | None:
        raise NotImplementedError

    async def steps_after(self, last: int, limit: int) -> list[Step]:
        return [s for s in self.steps if s.id > last][:limit]

    async def last_step(self) -> int:
        return self.steps[-1].id if self.steps else 0


def test_a_line_waits_for_one_whose_id_is_lower_and_not_for_ever():
    now = [0.0]
    order = InOrder(10, lambda: now[0])
    assert [s.id for s in order.take([step(11), step(13), step(15)])] == [11]
    now[0] = 1.0
    assert [s.id for s in order.take([step(12), step(13), step(15)])] == [12, 13]
    now[0] = 2.5
    assert [s.id for s in order.take([step(15), step(16), step(18)])] == [15, 16]
    assert order.take([step(18)]) == []
    now[0] = 4.6
    assert [s.id for s in order.take([step(18)])] == [18]


def test_many_gaps_cost_one_pause():
    now = [0.0]
    order = InOrder(0, lambda: now[0])
    found = [step(number) for number in range(2, 200, 2)]
    assert order.take(found) == []
    now[0] = tail.PATIENCE
    assert order.take(found) == found


async def test_who_reads_too_slowly_is_dropped_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tail, "LOOK_SECONDS", 0.001)
    log = Log()
    followed = Tail(log, lambda: 0.0)
    since = await followed.begin()
    with (
        followed.follow(StreamQuery()) as slow,
        followed.follow(StreamQuery(login_id=OTHER)) as other,
        followed.follow(StreamQuery()) as quick,
    ):
        log.steps = [step(since + 1 + n) for n in range(tail.MOST_WAITING + 10)]
        read = [await quick.next(5) for _ in log.steps]
        assert (slow.too_slow, other.too_slow, quick.too_slow) == (True, False, False)
        assert [s.id for s in read if s] == [s.id for s in log.steps]
        assert await other.next(0.01) is None


async def test_streams_are_bounded_and_a_closed_one_makes_room(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tail, "MOST_FOLLOWERS", 2)
    followed = Tail(Log(), lambda: 0.0)
    await followed.begin()
    with followed.follow(StreamQuery()):
        with followed.follow(StreamQuery()), pytest.raises(TooManyFollowers), followed.follow(StreamQuery()):
            pass
        with followed.follow(StreamQuery()) as late:
            followed.end()
            assert await asyncio.wait_for(late.next(5), 1) is None
            assert late.over


async def test_no_account_takes_the_streams_of_others_and_all_of_them_none_of_the_operators(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(tail, "MOST_FOLLOWERS", 5)
    monkeypatch.setattr(tail, "MOST_OF_ACCOUNTS", 4)
    monkeypatch.setattr(tail, "MOST_OF_ONE", 3)
    followed = Tail(Log(), lambda: 0.0)
    await followed.begin()

    def refused(account: UUID | None) -> bool:
        try:
            stack.enter_context(followed.follow(StreamQuery(account=account)))
        except TooManyFollowers:
            return True
        return False

    with ExitStack() as stack:
        assert [refused(LOGIN) for _ in range(4)] == [False, False, False, True]
        assert [refused(OTHER) for _ in range(2)] == [False, True]
        assert [refused(None) for _ in range(2)] == [False, True]


async def test_one_person_does_not_take_the_streams_of_all_operators(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tail, "MOST_OF_ONE", 2)
    followed = Tail(Log(), lambda: 0.0)
    await followed.begin()
    with ExitStack() as stack:
        for person in ("user:a", "user:a", "user:b"):
            stack.enter_context(followed.follow(StreamQuery(), person=person))
        with pytest.raises(TooManyFollowers):
            stack.enter_context(followed.follow(StreamQuery(), person="user:a"))


async def test_the_past_says_how_far_it_went_also_where_nothing_was_wanted():
    log = Log()
    log.steps = [step(number, channel="sms" if number == 3 else "email") for number in range(1, 1200)]
    asked = StreamQuery(channel="sms")
    pages = [[s.id for s in page] async for page in Tail(log, lambda: 0.0).past(asked, 2, 1100)]
    assert pages == [[3, 502], [1002], [1100]]


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        (StreamQuery(), True),
        (StreamQuery(state=State.SENT, channel="sms", provider="twilio", login_id=LOGIN), True),
        (StreamQuery(what="sent"), True),
        (StreamQuery(state=State.FAILED), False),
        (StreamQuery(provider="vonage"), False),
        (StreamQuery(account=OTHER), False),
    ],
)
def test_filters_of_the_live_log_all_narrow_it(asked: StreamQuery, taken: bool):
    assert asked.takes(step(1, channel="sms", provider="twilio", account=LOGIN)) is taken


def test_a_timeline_numbers_the_calls_of_each_delivery_and_counts_from_the_login():
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    at: Any = {"at": datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)}
    sms, email = UUID(int=7), UUID(int=8)
    found = [
        Step(id=1, what="queued", login_id=LOGIN, delivery_id=sms, **at),
        Step(id=2, what="queued", login_id=LOGIN, delivery_id=sms, ms=20, **at),
        Step(id=3, what="sent", login_id=LOGIN, delivery_id=sms, ms=30, **at),
        Step(id=4, what="sent", login_id=LOGIN, delivery_id=email, ms=5, **at),
        Step(id=5, what="delivered", login_id=LOGIN, delivery_id=sms, **at),
    ]
    assert [(s.after_ms, s.attempt) for s in told(found, begun)] == [
        (1500, None),
        (1500, 1),
        (1500, 2),
        (1500, 1),
        (1500, None),
    ]


async def test_who_has_seen_more_than_the_tail_is_told_nothing_twice(monkeypatch: pytest.MonkeyPatch):
    """A tail begins a little before the newest line; after a database was restored, ids are far below those seen."""
    monkeypatch.setattr(tail, "LOOK_SECONDS", 0.001)
    log = Log()
    followed = Tail(log, lambda: 0.0)
    assert await followed.begin() == 0
    with followed.follow(StreamQuery(), seen=2) as near, followed.follow(StreamQuery(), seen=100_000) as far:
        log.steps = [step(number) for number in (1, 2, 3)]
        heard = await near.next(5)
        assert heard is not None
        assert heard.id == 3
        assert [one.id for _ in log.steps if (one := await far.next(5))] == [1, 2, 3]
