"""Whether the feed is current, by monotonic time: aiokafka stamps its answers with the wall clock, which can step."""

import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

FRESH_SECONDS: Final = 2.0
BEHIND_SECONDS: Final = 1.0
SLEPT_SECONDS: Final = 1.0


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
        self.heard = now
        self.place = 0
        self.behind_since: float | None = None


class Freshness:
    """Looked at whenever the follower polls and whenever a token is checked.

    Once `lost` it stays lost: what came by the second road in a silence stands in Postgres alone, and an answer that is
    heard after a sleep may have waited in the socket all the while. `slept`: it was lost because nobody looked.
    """

    def __init__(self, partitions: Iterable[Followed], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looked = self._moved = monotonic()
        self._all = [_Seen(partition, self._looked) for partition in partitions]
        self.lost = False
        self.slept = False

    def current(self) -> bool:
        """Whether every partition was heard of within two seconds and none is behind for over a second."""
        now = self._monotonic()
        good = all([self._good(seen, now) for seen in self._all])
        if not self.lost and (self._is_silent(now) or now - self._moved > FRESH_SECONDS):
            self.lost, self.slept = True, now - self._looked > SLEPT_SECONDS
        self._looked = now
        return good and not self.lost

    def heard(self) -> float:
        """When the partition was heard of that was heard of least, by monotonic time."""
        return min((seen.heard for seen in self._all), default=self._looked)

    def _good(self, seen: _Seen, now: float) -> bool:
        self._note(seen, now)
        if seen.stamp is None or now - seen.heard > FRESH_SECONDS:
            return False
        return self._abreast(seen, now)

    def _note(self, seen: _Seen, now: float) -> None:
        stamp, end = seen.partition.timestamp, seen.partition.highwater
        if stamp != seen.stamp:  # it came after the last look: at that look at the earliest
            seen.stamp, seen.heard, self._moved = stamp, self._looked, self._looked
        if end is not None and seen.partition.position != seen.place:
            seen.place, self._moved = seen.partition.position, now

    @staticmethod
    def _abreast(seen: _Seen, now: float) -> bool:
        end = seen.partition.highwater
        if end is None or seen.partition.position >= end:
            seen.behind_since = None
            return True
        if seen.behind_since is None:
            seen.behind_since = now
        return now - seen.behind_since <= BEHIND_SECONDS

    def _is_silent(self, now: float) -> bool:
        """Whether nothing was heard of a partition of which nothing waits here to be read."""
        heard = [seen for seen in self._all if seen.stamp is not None and seen.partition.highwater is not None]
        return any(
            now - s.heard > FRESH_SECONDS and s.partition.position >= (s.partition.highwater or 0) for s in heard
        )
