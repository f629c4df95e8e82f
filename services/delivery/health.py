"""One reading of how delivery is, for whoever asks: the API, the command line, the metrics."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Protocol

import msgspec

from services.delivery.fresh import Fresh
from services.delivery.lanes import Lane
from services.delivery.pauses import Pause
from services.delivery.watchdog import Seen
from services.platform import metrics, outbox
from services.platform.clock import Clock

FRESH_SECONDS: Final = 2.0

Capped = Annotated[int, msgspec.Meta(description="counted up to 10,000")]


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What is due and was not called yet; what operators hold back; what nobody settled after its lease had run out."""

    due: Capped
    oldest_seconds: float
    held_back: Capped
    overdue: Capped


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Events that wait for Kafka; `parked`: that Kafka refuses."""

    waiting: Capped
    oldest_seconds: float
    parked: Capped


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's calls of the last five minutes (of the newest 20,000 steps), and what it said afterwards. Faults of
    a number are counted by themselves, and not as `failed` or `undelivered`. `reason`: the commonest of those two.
    """

    provider: str
    channel: str
    calls: int
    failed: int
    undelivered: int
    no_receipt: int
    of_numbers: int
    reason: str | None
    p95_ms: int | None


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """`fallbacks`: e-mails made because an SMS did not arrive, beside the SMS of that time. `guarded`: SMS that the
    pumping guard stopped, by reason.
    """

    sms: int
    fallbacks: int
    guarded: Mapping[str, int]
    providers: Sequence[Calls]


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """What waits, and nothing of what happened."""

    waiting: Waiting
    outbox: Standing
    dead_letters: Capped


class Read(Stand, frozen=True, kw_only=True):
    """What the database tells, in one look."""

    now: datetime
    recent: Recent
    paused: Sequence[Pause]
    providers: Sequence[Mapping[str, Any]]
    migrations: Sequence[str]


class Kafka(msgspec.Struct, frozen=True, kw_only=True):
    """This worker's own partitions. `answered_seconds`: since the newest answer; None: none yet."""

    lag: int
    answered_seconds: float | None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`clock_ahead_ms`: this worker's clock beside the database's."""

    at: datetime
    clock_ahead_ms: int
    waiting: Waiting
    outbox: Standing
    recent: Recent
    dead_letters: int
    paused: Sequence[Pause]
    providers: Sequence[Mapping[str, Any]]
    kafka: Kafka
    migrations: Sequence[str]


class Vitals(Protocol):
    """The part of Postgres that the reading needs."""

    async def read(self) -> Read: ...
    async def stand(self) -> Stand: ...


class Checkup:
    """Reads at most every two seconds, however many ask."""

    def __init__(self, vitals: Vitals, lanes: Callable[[], Iterable[Lane]], clock: Clock) -> None:
        self._vitals, self._lanes, self._clock = vitals, lanes, clock
        self._fresh: Fresh[None, Health] = Fresh(self._look, FRESH_SECONDS, clock.monotonic)
        self.seen: Callable[[], Seen] = lambda: Seen({}, None)

    async def health(self) -> Health:
        return await self._fresh.of(None)

    async def _look(self, _: None) -> Health:
        return self._made(await self._vitals.read())

    async def measure(self) -> None:
        """For a scrape: what stands now. What happened lately, counters say."""
        for lane in self._lanes():
            metrics.BREAKER_CLOSED.labels(lane.channel.channel, lane.channel.name).set(lane.breaker.state == "closed")
        tell(await self._vitals.stand())

    def _made(self, read: Read) -> Health:
        here = {
            lane.channel.name: {"breaker": lane.breaker.state, "under_way": lane.under_way} for lane in self._lanes()
        }
        ahead = (self._clock.now() - read.now).total_seconds()
        fields = {name: getattr(read, name) for name in read.__struct_fields__ if name not in ("now", "providers")}
        rows = [{**row, **here.get(row["name"], {"breaker": None, "under_way": 0})} for row in read.providers]
        return Health(
            at=read.now, clock_ahead_ms=round(ahead * 1000), providers=rows, kafka=_kafka(self.seen()), **fields
        )


def _kafka(seen: Seen) -> Kafka:
    lag = sum(max(0, place.end - place.position) for place in seen.places.values())
    return Kafka(lag=lag, answered_seconds=None if seen.answered_ago is None else round(seen.answered_ago, 1))


def tell(stand: Stand) -> None:
    """The same figures, as metrics."""
    metrics.OLDEST_CODE_SECONDS.set(stand.waiting.oldest_seconds)
    metrics.CODES_WAITING.set(stand.waiting.due)
    metrics.CODES_HELD_BACK.set(stand.waiting.held_back)
    metrics.DEAD_LETTERS_OPEN.set(stand.dead_letters)
    outbox.tell(**msgspec.structs.asdict(stand.outbox))


def lag_of(seen: Seen, topic: str) -> float:
    """Records of the topic that this worker has not read; no number while it has no partition of it."""
    places = [place for (name, _), place in seen.places.items() if name == topic]
    return float(sum(max(0, place.end - place.position) for place in places)) if places else math.nan
