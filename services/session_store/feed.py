"""Whether the feed is current, by monotonic time: aiokafka stamps its answers with the wall clock, which can step."""

import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

FRESH_SECONDS: Final = 2.0
BEHIND_SECONDS: Final = 1.0


class Followed(Protocol):
    """One partition as aiokafka's fetcher keeps it; the stamp changes with every answer."""

    timestamp: int | None
    highwater: int | None

    @property
    def position(self) -> int: ...


class _Seen:
    def __init__(self, partition: Followed, now: float) -> None:
        self.partition = partition
        self.stamp: int | None = None
        self.looked = now
        self.heard = now
        self.behind_since: float | None = None


class Freshness:
    """Looked at whenever the follower polls and whenever a token is checked."""

    def __init__(self, partitions: Iterable[Followed], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._all = [_Seen(partition, monotonic()) for partition in partitions]

    def current(self) -> bool:
        """Whether every partition was heard of within two seconds and none is behind for over a second."""
        now = self._monotonic()
        return all([self._good(seen, now) for seen in self._all])

    def _good(self, seen: _Seen, now: float) -> bool:
        stamp = seen.partition.timestamp
        if stamp != seen.stamp:
            seen.stamp, seen.heard = stamp, seen.looked  # it came after the last look: at that look at the earliest
        seen.looked = now
        if stamp is None or now - seen.heard > FRESH_SECONDS:
            return False
        return self._abreast(seen, now)

    @staticmethod
    def _abreast(seen: _Seen, now: float) -> bool:
        end = seen.partition.highwater
        if end is None or seen.partition.position >= end:
            seen.behind_since = None
            return True
        if seen.behind_since is None:
            seen.behind_since = now
        return now - seen.behind_since <= BEHIND_SECONDS
