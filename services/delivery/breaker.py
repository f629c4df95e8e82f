"""A breaker for each provider: what does not answer is left alone, and asked by one call at a time until it does."""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

WINDOW: Final = 30.0
LEAST_CALLS: Final = 20
MOST_FAILED: Final = 0.5
TIMEOUTS: Final = 5
FIRST_REST: Final = 1.0
LONGEST_REST: Final = 10.0


class End(Enum):
    """What a call said about its provider. `ANSWERED`: what was wrong was the number. `NOTHING`: it was broken off."""

    GOOD = auto()
    ANSWERED = auto()
    FAILED = auto()
    TIMEOUT = auto()
    NOTHING = auto()


class Breaker:
    """Closed: calls go through. Open: none does until its rest is over. Then one probe decides."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._calls: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._timeouts = 0
        self._rest = FIRST_REST
        self._until: float | None = None
        self._probing = False

    @property
    def state(self) -> str:
        if self._until is None:
            return "closed"
        return "probing" if self._probing or self._now() >= self._until else "open"

    def pause(self) -> float:
        """Seconds until a call may be made. While a probe is under way: a moment, until its end is known."""
        if self._until is None:
            return 0.0
        return max(self._until - self._now(), FIRST_REST / 4 if self._probing else 0.0)

    def begin(self) -> bool:
        """A call is made: whether it is the probe."""
        probe = self._until is not None
        self._probing = self._probing or probe
        return probe

    def end(self, end: End, probe: bool, after: float | None = None) -> None:
        """`after`: how long the provider asked to be left alone."""
        if probe:
            self._probing = False
            self._judge(end)
        elif self._until is None and end is not End.NOTHING:
            self._count(end)
        if after:
            self._open(after)

    def _judge(self, end: End) -> None:
        if end in (End.GOOD, End.ANSWERED):
            self._close()
        elif end is not End.NOTHING:
            self._rest = min(self._rest * 2, LONGEST_REST)
            self._open(self._rest)

    def _count(self, end: End) -> None:
        self._timeouts = self._timeouts + 1 if end is End.TIMEOUT else 0
        if end is End.ANSWERED:
            return
        now, failed = self._now(), end is not End.GOOD
        self._calls.append((now, failed))
        self._failed += failed
        while self._calls[0][0] <= now - WINDOW:
            self._failed -= self._calls.popleft()[1]
        many = len(self._calls) >= LEAST_CALLS and self._failed >= MOST_FAILED * len(self._calls)
        if failed and (many or self._timeouts >= TIMEOUTS):
            self._open(self._rest)

    def _open(self, seconds: float) -> None:
        self._until = max(self._until or 0.0, self._now() + seconds)

    def _close(self) -> None:
        self._until, self._rest = None, FIRST_REST
        self._calls.clear()
        self._failed = self._timeouts = 0
