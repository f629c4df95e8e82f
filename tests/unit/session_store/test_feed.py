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


def test_silence_of_two_seconds_ends_it_and_an_answer_brings_it_back():
    partition = Partition(timestamp=1, highwater=0)
    feed, time = followed(partition)
    assert feed.current() is True
    time.now += 1.9
    assert feed.current() is True
    time.now += 0.2
    assert feed.current() is False
    partition.timestamp = 2
    time.now += 0.1
    assert feed.current() is True


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
