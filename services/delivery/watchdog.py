"""A worker that is stuck looks alive: it ends itself, and its supervisor starts another.

Whatever it had taken is in the ledger under leases, or unacknowledged in Kafka: an abrupt end loses nothing.
"""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, NamedTuple

import structlog

log = structlog.get_logger()

PATIENCE: Final = 10.0
LOOK_SECONDS: Final = 1.0
EXIT_CODE: Final = 70  # EX_SOFTWARE, sysexits.h

Stall = Literal["no-advance", "no-fetch-answer", "loop-blocked"]


class Place(NamedTuple):
    """A partition as the consumer sees it: the log's end, and the next record that it will hand out."""

    end: int
    position: int


class Seen(NamedTuple):
    """What the consumer knows at one moment. `answered_ago`: seconds since the newest fetch answer; None: no fetch."""

    places: Mapping[tuple[str, int], Place]
    answered_ago: float | None


class Agents:
    """Which agents are writing a batch, and when each last finished one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.busy_since: dict[str, float] = {}
        self.finished: dict[str, float] = {}

    @contextmanager
    def busy(self, topic: str) -> Iterator[None]:
        self.busy_since[topic] = self._monotonic()
        try:
            yield
            self.finished[topic] = self._monotonic()
        finally:
            del self.busy_since[topic]


class Watch:
    """The rule: lag, and nothing that moves for ten seconds; or no fetch answer for as long."""

    def __init__(self, agents: Agents, now: float) -> None:
        self._agents = agents
        self._fresh = now
        self._moved: dict[tuple[str, int], tuple[int, float]] = {}

    def forgive(self, now: float) -> None:
        """What it waits for is away: count from now."""
        self._fresh = now

    def look(self, now: float, seen: Seen) -> Stall | None:
        self._note(now, seen.places)
        if self._is_busy_for_long(now) or any(self._stands(now, place) for place in self._moved):
            return "no-advance"
        if seen.answered_ago is not None and min(seen.answered_ago, now - self._fresh) > PATIENCE:
            return "no-fetch-answer"
        return None

    def _note(self, now: float, places: Mapping[tuple[str, int], Place]) -> None:
        """Remember since when each partition with lag has stood still."""
        moved: dict[tuple[str, int], tuple[int, float]] = {}
        for place, at in places.items():
            position, since = self._moved.get(place, (at.position, now))
            if at.end > at.position:
                moved[place] = (at.position, since if position == at.position else now)
        self._moved = moved

    def _is_busy_for_long(self, now: float) -> bool:
        return any(now - max(since, self._fresh) > PATIENCE for since in self._agents.busy_since.values())

    def _stands(self, now: float, place: tuple[str, int]) -> bool:
        """An agent that finishes batches keeps its other partitions waiting rightly."""
        last = self._agents.finished.get(place[0], self._fresh)
        return now - max(self._moved[place][1], last, self._fresh) > PATIENCE


async def keep_watch(
    watch: Watch,
    look: Callable[[], Seen],
    others_answer: Callable[[Stall], Awaitable[bool]],
    end: Callable[[Stall], None],
    beat: Callable[[], None],
) -> None:
    """Look each second, for ever; a stall counts only while what the worker waits for answers somebody else. Before a
    look that came much too late the process had been frozen, or the machine had: nothing could move meanwhile.
    """
    looked = time.monotonic()
    while True:
        beat()
        now = time.monotonic()
        if now - looked > PATIENCE / 2:
            watch.forgive(now)
        looked = now
        if (stall := watch.look(now, look())) is not None:
            if await others_answer(stall):
                end(stall)
            watch.forgive(time.monotonic())
        await asyncio.sleep(LOOK_SECONDS)


class Pulse(threading.Thread):
    """Looks at the loop from outside: a loop that is blocked cannot say so itself."""

    def __init__(self, end: Callable[[Stall], None]) -> None:
        super().__init__(name="pulse", daemon=True)
        self._end = end
        self._last = time.monotonic()

    def beat(self) -> None:
        self._last = time.monotonic()

    def run(self) -> None:
        while True:
            before = time.monotonic()
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            if now - before > 2 * LOOK_SECONDS:
                self.beat()  # the whole process slept: the loop is not to blame
            elif now - self._last > PATIENCE:
                self._end("loop-blocked")


def end_worker(stall: Stall) -> None:
    """No clean stop: what is stuck would not take part in it."""
    log.critical("worker_stalled", reason=stall, exit_code=EXIT_CODE)
    os._exit(EXIT_CODE)
