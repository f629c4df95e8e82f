"""The live log: one look for all who follow it, each with a queue of its own that is bounded."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final
from uuid import UUID

import structlog

from services.delivery.deliveries import Reading, Step, StreamQuery
from services.platform.postgres import AWAY

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.5
BUSY_SECONDS: Final = 0.05  # up to 10,000 steps a second
PATIENCE: Final = 2.0
AT_ONCE: Final = 500
MOST_FOLLOWERS: Final = 64
MOST_OF_ACCOUNTS: Final = 48  # the others are for operators: a tenant must not close their eyes
MOST_OF_ONE: Final = 16
MOST_WAITING: Final = 2000


class TooManyFollowers(Exception):
    """As many follow the log here as one worker takes."""


class InOrder:
    """Ids are given before commits: a line before a gap may still come, and those behind it wait two seconds for it.
    So whoever goes on after the last id that it saw misses nothing.
    """

    def __init__(self, last: int, monotonic: Callable[[], float]) -> None:
        self.last = last
        self._monotonic = monotonic
        self._first_seen: dict[int, float] = {}

    def take(self, found: Sequence[Step]) -> list[Step]:
        now, ready = self._monotonic(), []
        for step in found:
            since = self._first_seen.setdefault(step.id, now)
            if step.id != self.last + 1 and now - since < PATIENCE:
                break
            ready.append(step)
            self.last = step.id
        self._first_seen = {step.id: self._first_seen.get(step.id, now) for step in found if step.id > self.last}
        return ready


class Follower:
    """What is for one reader and not read yet; `too_slow` once that was more than fits."""

    def __init__(self, asked: StreamQuery, since: int, seen: int | None, person: str | None = None) -> None:
        """`since` is where the tail stands, a little before the newest line; the reader may be further."""
        self.asked, self.since, self.person = asked, since, person
        self._seen = seen if seen is not None and seen <= since + AT_ONCE else 0
        self.too_slow = self.over = False
        self._waiting: asyncio.Queue[Step | None] = asyncio.Queue(MOST_WAITING)

    def give(self, step: Step) -> None:
        if step.id > self._seen and self.asked.takes(step) and not self.too_slow:
            try:
                self._waiting.put_nowait(step)
            except asyncio.QueueFull:
                self.too_slow = True

    def end(self) -> None:
        """The worker stops."""
        self.over = True
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(None)

    async def next(self, seconds: float) -> Step | None:
        """None when it was quiet for so long, or all is over."""
        if not self._waiting.empty():
            return self._waiting.get_nowait()
        try:
            return await asyncio.wait_for(self._waiting.get(), seconds)
        except TimeoutError:
            return None


class Tail:
    """Looks at the log only while somebody follows it."""

    def __init__(self, reading: Reading, monotonic: Callable[[], float]) -> None:
        self._reading, self._monotonic = reading, monotonic
        self._followers: set[Follower] = set()
        self._order: InOrder | None = None
        self._work: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()

    async def begin(self) -> int:
        """The line after which a new reader is told everything."""
        async with self._beginning:
            if self._order is None:
                self._order = InOrder(await self._reading.last_step(), self._monotonic)
            return self._order.last

    @contextmanager
    def follow(self, asked: StreamQuery, seen: int | None = None, person: str | None = None) -> Iterator[Follower]:
        """After `begin`; `seen` is the last line that the reader has. Raises `TooManyFollowers`."""
        if self._is_full(asked.account) or (person is not None and self._of(person) >= MOST_OF_ONE):
            raise TooManyFollowers
        order = self._order
        assert order is not None  # noqa: S101 - `begin` comes first
        follower = Follower(asked, order.last, seen, person)
        self._followers.add(follower)
        self._work = self._work or asyncio.get_running_loop().create_task(self._run(order))
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            if not self._followers:
                self._stop()

    def _of(self, person: str) -> int:
        return sum(one.person == person for one in self._followers)

    def _is_full(self, account: UUID | None) -> bool:
        if account is None:
            return len(self._followers) >= MOST_FOLLOWERS
        of_accounts = [one.asked.account for one in self._followers if one.asked.account is not None]
        is_full = len(of_accounts) >= MOST_OF_ACCOUNTS or len(self._followers) >= MOST_FOLLOWERS
        return is_full or of_accounts.count(account) >= MOST_OF_ONE

    async def past(self, asked: StreamQuery, after: int, until: int) -> AsyncIterator[Sequence[Step]]:
        """What lies between two lines, page by page: the wanted ones of each, and its last one, wanted or not."""
        while after < until:
            found = [step for step in await self._reading.steps_after(after, AT_ONCE) if step.id <= until]
            if not found:
                return
            yield [step for step in found if asked.takes(step) or step is found[-1]]
            after = found[-1].id

    def end(self) -> None:
        for follower in self._followers:
            follower.end()

    def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()
        self._work = self._order = None

    async def _run(self, order: InOrder) -> None:
        while True:
            try:
                taken = order.take(await self._reading.steps_after(order.last, AT_ONCE))
            except AWAY as away:
                log.warning("log_not_read", error=type(away).__name__)
                taken = []
            for step in taken:
                for follower in self._followers:
                    follower.give(step)
            await asyncio.sleep(LOOK_SECONDS if len(taken) < AT_ONCE else BUSY_SECONDS)
