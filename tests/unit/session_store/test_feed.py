"""When memory may answer: heard of lately, and not behind; told by monotonic time alone."""

from dataclasses import dataclass

from services.session_store.feed import Freshness


@dataclass
class Partition:
    """As aiokafka's fetcher keeps it."""

    timestamp: int | None = None
    highwater: int | None = None
    position: int = 0


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def followed(*partitions: Partition) -> tuple[Freshness, Time]:
    time = Time()
    return Freshness(partitions, time), time


def test_a_partition_that_was_never_heard_of_is_not_current():
    feed, _ = followed(Partition(timestamp=1, highwater=0), Partition())
    assert feed.current() is False


def test_silence_of_two_seconds_ends_it_and_no_answer_brings_it_back():
    """What the second road brought meanwhile is not on the topic yet: the follower begins again from a snapshot."""
    partition = Partition(timestamp=1, highwater=0)
    feed, time = followed(partition)
    assert feed.current() is True
    for step in (0.9, 0.9):
        time.now += step
        assert (feed.current(), feed.lost) == (True, False)
    time.now += 0.3
    assert (feed.current(), feed.lost, feed.slept) == (False, True, False)
    partition.timestamp = 2
    time.now += 0.1
    assert feed.current() is False


def test_whoever_did_not_look_for_two_seconds_has_slept_and_an_answer_from_the_socket_does_not_count():
    for heard_first in (True, False):
        partition = Partition(timestamp=1, highwater=0)
        feed, time = followed(partition)
        assert feed.current() is True
        time.now += 2.1
        partition.timestamp = 2 if heard_first else 1
        assert (feed.current(), feed.lost, feed.slept) == (False, True, True)
        partition.timestamp = 2
        assert feed.current() is False


def test_a_partition_that_waits_its_turn_in_a_long_backlog_is_behind_and_not_lost():
    busy, waiting = Partition(timestamp=1, highwater=90, position=0), Partition(timestamp=1, highwater=90, position=5)
    feed, time = followed(busy, waiting)
    for _ in range(12):
        time.now += 0.5
        busy.position += 5
        feed.current()
    assert (feed.current(), feed.lost) == (False, False)
    busy.timestamp, busy.position, waiting.timestamp, waiting.position = 2, 90, 2, 90
    assert feed.current() is True


def test_a_follower_that_hears_nothing_at_all_is_lost_however_far_behind_it_is():
    feed, time = followed(Partition(), Partition(timestamp=1, highwater=90))
    feed.current()
    for _ in range(5):
        time.now += 0.5
        feed.current()
    assert (feed.lost, feed.slept) == (True, False)


def test_a_stamp_far_in_the_future_does_not_outlive_two_seconds_of_silence():
    partition = Partition(timestamp=10**15, highwater=0)
    feed, time = followed(partition)
    assert feed.current() is True
    time.now += 2.1
    assert feed.current() is False


def test_an_answer_that_nobody_looked_for_counts_from_the_last_look():
    partition = Partition(timestamp=1, highwater=0)
    feed, time = followed(partition)
    assert feed.current() is True
    partition.timestamp = 2
    time.now += 2.5
    assert feed.current() is False


def test_behind_for_a_second_is_borne_and_longer_is_not():
    partition = Partition(timestamp=1, highwater=5, position=3)
    feed, time = followed(partition)
    assert feed.current() is True
    for step in (0.5, 0.4):
        time.now += step
        partition.timestamp = (partition.timestamp or 0) + 1
        assert feed.current() is True
    time.now += 0.2
    partition.timestamp = 9
    assert feed.current() is False
    partition.position = 5
    assert feed.current() is True
