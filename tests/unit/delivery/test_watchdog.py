"""What counts as a stall, with a time that is passed in."""

import threading
import time
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from services.delivery import watchdog
from services.delivery.watchdog import Agents, Place, Pulse, Seen, Watch

HERE = ("login-challenges", 3)


class Hands:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def agents(hands: Hands) -> Agents:
    return Agents(hands)


@pytest.fixture
def watch(agents: Agents) -> Watch:
    return Watch(agents, 100.0)


def seen(end: int = 5, position: int = 5, answered_ago: float | None = 0.2) -> Seen:
    return Seen({HERE: Place(end, position)}, answered_ago)


def test_without_lag_nothing_is_a_stall(watch: Watch) -> None:
    assert [watch.look(now, seen()) for now in (101, 150, 900)] == [None, None, None]


def test_lag_that_stands_for_over_ten_seconds_is_a_stall(watch: Watch) -> None:
    assert [watch.look(now, seen(end=9)) for now in (101, 110, 111, 112)] == [None, None, None, "no-advance"]


def test_lag_that_moves_is_none(watch: Watch) -> None:
    assert [watch.look(101 + n * 9, seen(end=99, position=n)) for n in range(9)] == [None] * 9


def test_an_agent_that_finishes_batches_keeps_its_other_partitions_waiting_rightly(
    watch: Watch, agents: Agents, hands: Hands
) -> None:
    for now in range(101, 140, 5):
        hands.now = now
        with agents.busy(HERE[0]):
            pass
        assert watch.look(now, seen(end=9)) is None


def test_a_batch_that_is_written_for_over_ten_seconds_is_a_stall(watch: Watch, agents: Agents) -> None:
    with agents.busy(HERE[0]):
        assert watch.look(109, seen()) is None
        assert watch.look(111, seen()) == "no-advance"
    assert watch.look(112, seen()) is None


def test_what_was_away_is_forgiven(watch: Watch, agents: Agents) -> None:
    with agents.busy(HERE[0]):
        assert watch.look(111, seen(end=9)) == "no-advance"
        watch.forgive(111)
        assert watch.look(120, seen(end=9)) is None
        assert watch.look(122, seen(end=9)) == "no-advance"


def test_no_fetch_answer_for_over_ten_seconds_is_a_stall(watch: Watch) -> None:
    assert watch.look(150, seen(answered_ago=9)) is None
    assert watch.look(150, seen(answered_ago=11)) == "no-fetch-answer"
    assert watch.look(150, Seen({}, None)) is None


def test_a_partition_that_went_to_another_worker_is_forgotten(watch: Watch) -> None:
    watch.look(101, seen(end=9))
    watch.look(105, Seen({}, 0.1))
    assert watch.look(113, seen(end=9)) is None


def test_a_loop_that_does_not_beat_is_seen_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.delivery.watchdog.PATIENCE", 0.3)
    monkeypatch.setattr("services.delivery.watchdog.LOOK_SECONDS", 0.05)
    told = threading.Event()
    reasons: list[str] = []

    def end(reason: str) -> None:
        reasons.append(reason)
        told.set()

    pulse = Pulse(end)
    pulse.beat()
    started = time.monotonic()
    pulse.start()
    assert told.wait(10)
    assert time.monotonic() - started > 0.3
    assert reasons[0] == "loop-blocked"


class Over(Exception):
    pass


async def ends_of(monkeypatch: pytest.MonkeyPatch, looks: Sequence[float]) -> list[watchdog.Stall]:
    """A worker whose fetches were all answered 0.5 s before the machine stopped at 0: what it ends by, when it looks at
    these seconds.
    """
    now, left, found = 0.0, iter(looks), list[watchdog.Stall]()

    def beat() -> None:
        nonlocal now
        try:
            now = next(left)
        except StopIteration:
            raise Over from None

    async def yes(_: watchdog.Stall) -> bool:
        return True

    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0)
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: now))
    with pytest.raises(Over):
        await watchdog.keep_watch(Watch(Agents(), now), lambda: Seen({}, now + 0.5), yes, found.append, beat)
    return found


async def test_a_worker_that_was_frozen_itself_is_not_to_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await ends_of(monkeypatch, [1, 2, 15, 16, 20]) == []


async def test_nor_is_it_forgiven_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await ends_of(monkeypatch, [1, 2, 15, *range(16, 27)]) == ["no-fetch-answer"]
