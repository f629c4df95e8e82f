"""Charts and providers' figures of the last hour and day, out of minutes that were added up from the log."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from services.delivery.fresh import Fresh
from services.platform.postgres import AWAY

Span = Literal["hour", "day"]
What = Literal["made", "taken", "refused", "wrong_number", "arrived", "not_arrived", "no_receipt", "lost"]

LENGTH: Final[Mapping[Span, timedelta]] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
STEP: Final[Mapping[Span, timedelta]] = {"hour": timedelta(minutes=1), "day": timedelta(minutes=10)}
GROWTH: Final = 1.25
CALLS: Final[frozenset[str]] = frozenset({"taken", "refused", "wrong_number"})
FRESH_SECONDS: Final = 3.0
ADD_SECONDS: Final = 10.0
SOON_SECONDS: Final = 0.2
AT_ONCE: Final = 20_000


class Sum(NamedTuple):
    """What happened how often within one step of a chart. `provider` is empty where none was asked."""

    at: datetime
    channel: str
    provider: str
    what: str
    bucket: int
    many: int


class Read(NamedTuple):
    """`until`: the database's clock."""

    until: datetime
    sums: Sequence[Sum]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a chart. `made` are messages that came, `taken` those that a provider took, `lost` those of which it
    became known that they did not arrive. `sms_ms` and `email_ms`: 95 of 100 calls took no longer; None: no calls.
    """

    at: datetime
    made: int
    taken: int
    lost: int
    sms_ms: int | None
    email_ms: int | None


class OfProvider(msgspec.Struct, frozen=True, kw_only=True):
    """`success` is what share of the calls it took, faults of the number left out; None: no such calls. `arrived`,
    `not_arrived` and `no_receipt` are what it said afterwards, or did not say.
    """

    provider: str
    channel: str
    calls: int
    taken: int
    wrong_numbers: int
    success: float | None
    p50_ms: int | None
    p95_ms: int | None
    arrived: int
    not_arrived: int
    no_receipt: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    span: Span
    step_seconds: int
    until: datetime
    points: Sequence[Point]
    providers: Sequence[OfProvider]


class Minutes(Protocol):
    """The part of Postgres that charts need."""

    async def read(self, length: timedelta, step: timedelta) -> Read: ...

    async def add(self, most: int) -> bool:
        """Add up the next lines of the log; whether there may be more. Of several workers one does it at a time."""
        ...

    async def tidy(self) -> None: ...


class Charts:
    """Read at most every three seconds, however many look."""

    def __init__(self, minutes: Minutes, monotonic: Callable[[], float]) -> None:
        self._minutes = minutes
        self._fresh = Fresh(self._read, FRESH_SECONDS, monotonic)

    async def figures(self, span: Span) -> Figures:
        return await self._fresh.of(span)

    async def _read(self, span: Span) -> Figures:
        return figures_of(span, await self._minutes.read(LENGTH[span], STEP[span]))


class Adder:
    """Keeps the minutes up to date, for as long as the worker lives."""

    def __init__(self, minutes: Minutes) -> None:
        self._minutes = minutes

    async def run(self) -> None:
        while True:
            more = False
            with suppress(*AWAY):
                more = await self._minutes.add(AT_ONCE)
                if not more:
                    await self._minutes.tidy()
            await asyncio.sleep(SOON_SECONDS if more else ADD_SECONDS)


def figures_of(span: Span, read: Read) -> Figures:
    step = STEP[span]
    last = floored(read.until, step)
    begins = [last - step * back for back in reversed(range(LENGTH[span] // step))]
    by_step: dict[datetime, list[Sum]] = defaultdict(list)
    by_provider: dict[tuple[str, str], list[Sum]] = defaultdict(list)
    for one in read.sums:
        by_step[one.at].append(one)
        if one.provider and one.at >= begins[0]:
            by_provider[one.channel, one.provider].append(one)
    return Figures(
        span=span,
        step_seconds=round(step.total_seconds()),
        until=read.until,
        points=[_point(at, by_step[at]) for at in begins],
        providers=[_of_provider(*whose, by_provider[whose]) for whose in sorted(by_provider)],
    )


def floored(instant: datetime, step: timedelta) -> datetime:
    """The beginning of the step that the instant is in; steps begin at whole minutes of UTC."""
    seconds = instant.timestamp() % step.total_seconds()
    return instant - timedelta(seconds=seconds)


def _point(at: datetime, sums: Sequence[Sum]) -> Point:
    counts = _counts(sums)
    return Point(
        at=at,
        made=counts["made"],
        taken=counts["taken"],
        lost=counts["lost"],
        sms_ms=percentile(0.95, (one for one in sums if one.channel == "sms")),
        email_ms=percentile(0.95, (one for one in sums if one.channel == "email")),
    )


def _of_provider(channel: str, provider: str, sums: Sequence[Sum]) -> OfProvider:
    counts = _counts(sums)
    judged = counts["taken"] + counts["refused"]
    return OfProvider(
        provider=provider,
        channel=channel,
        calls=judged + counts["wrong_number"],
        taken=counts["taken"],
        wrong_numbers=counts["wrong_number"],
        success=counts["taken"] / judged if judged else None,
        p50_ms=percentile(0.5, sums),
        p95_ms=percentile(0.95, sums),
        arrived=counts["arrived"],
        not_arrived=counts["not_arrived"],
        no_receipt=counts["no_receipt"],
    )


def _counts(sums: Iterable[Sum]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for one in sums:
        counts[one.what] += one.many
    return counts


def percentile(share: float, sums: Iterable[Sum]) -> int | None:
    """Milliseconds, to within an eighth; None without calls."""
    buckets: Counter[int] = Counter()
    for one in sums:
        if one.what in CALLS:
            buckets[one.bucket] += one.many
    wanted = share * buckets.total()
    for bucket in sorted(buckets):
        wanted -= buckets[bucket]
        if wanted <= 0:
            return max(1, round(float(GROWTH ** (bucket - 0.5))))
    return None
