"""How a metric is declared, and what `/metrics` of a service shows. The metrics themselves are in `metrics.py`."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, Final, Literal, TypeVar

import asyncpg
import structlog
from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from services.platform.postgres import AWAY

log = structlog.get_logger()

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series for each series, which nobody asks for

Kind = Literal["counter", "gauge", "histogram"]
Service = Literal["gateway", "delivery", "session-store"]
Question = Literal["waiting", "working", "safe", "in time"]
Across = Literal["sum", "max", "each"]
Labels = Mapping[str, str | tuple[str, ...]]
Figures = Callable[[], Awaitable[bytes]]
"""A process's page of metrics, in Prometheus' text format."""

FRESH_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 3.0
LONGEST_LABEL: Final = 64
PROCESS: Final[Sequence[Any]] = (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One of the closed set. `labels`: each with its values, or with what bounds them. `across`: what several processes
    of a service come to: each counted its own part (sum), all read the same (max), or each speaks of itself (each).
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: Labels
    question: Question
    services: tuple[Service, ...]
    across: Across
    collector: Any


C = TypeVar("C", Counter, Gauge, Histogram)


class Closed:
    """The set: every metric is declared through it once."""

    def __init__(self) -> None:
        self.metrics: list[Metric] = []
        self._read: list[Gauge] = []

    def counter(self, name: str, meaning: str, labels: Labels | None = None, **more: Any) -> Counter:
        made = Counter(name, meaning, tuple(labels or ()))
        return self._kept(made, "counter", name, meaning, labels, across="sum", **more)

    def histogram(
        self, name: str, meaning: str, buckets: Sequence[float], labels: Labels | None = None, **more: Any
    ) -> Histogram:
        made = Histogram(name, meaning, tuple(labels or ()), buckets=tuple(buckets))
        return self._kept(made, "histogram", name, meaning, labels, across="sum", **more)

    def gauge(self, name: str, meaning: str, labels: Labels | None = None, **more: Any) -> Gauge:
        made = Gauge(name, meaning, tuple(labels or ()))
        return self._kept(made, "gauge", name, meaning, labels, **more)

    def of_database(self, name: str, meaning: str, **more: Any) -> Gauge:
        """A gauge that is read from the database for a scrape; no number while that is away."""
        made = self.gauge(name, meaning, across="max", **more)
        self._read.append(made)
        return made

    def forget_what_was_read(self) -> None:
        for gauge in self._read:
            gauge.set(math.nan)

    def of(self, service: str) -> Iterator[Metric]:
        return (metric for metric in self.metrics if service in metric.services)

    def _kept(
        self, made: C, kind: Kind, name: str, meaning: str, labels: Labels | None, begin: bool = True, **more: Any
    ) -> C:
        unit = more.pop("unit", "seconds" if name.endswith("_seconds") else "0 or 1")
        labels = labels or {}
        values = [of for of in labels.values() if isinstance(of, tuple)]
        if begin and labels and len(values) == len(labels):
            for each in product(*values):
                made.labels(*each)
        self.metrics.append(
            Metric(name=name, kind=kind, unit=unit, meaning=meaning, labels=labels, collector=made, **more)
        )
        return made


class Shown:
    """What one service shows: its own metrics of the set, and its process's."""

    def __init__(self, closed: Closed, service: str) -> None:
        self._of = [metric.collector for metric in closed.of(service)] + list(PROCESS)

    def collect(self) -> Iterable[Any]:
        for collector in self._of:
            yield from collector.collect()

    def text(self) -> bytes:
        return generate_latest(self)


class Measure:
    """What a scrape reads of the database, at most every two seconds; `up` says whether it could."""

    def __init__(
        self,
        closed: Closed,
        up: Gauge,
        read: Callable[[], Awaitable[None]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._closed, self._up, self._read, self._monotonic = closed, up, read, monotonic
        self._last = -math.inf
        self._reading = asyncio.Lock()

    async def __call__(self) -> None:
        async with self._reading:
            if self._monotonic() - self._last < FRESH_SECONDS:
                return
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._read()
                self._up.set(1)
            except (
                *AWAY,
                asyncpg.PostgresError,
            ) as error:  # a table that is not migrated yet keeps no other figure back
                log.warning("metrics_not_read", error=type(error).__name__)
                self._closed.forget_what_was_read()
                self._up.set(0)
            self._last = self._monotonic()


def country(found: str | None) -> str:
    """As a label: one of the world's countries, whatever an event said."""
    if found is None:
        return "none"
    return found if found in _countries() else "other"


@cache
def _countries() -> frozenset[str]:
    """Loaded by who asks: the session store has no phone numbers."""
    from phonenumbers import SUPPORTED_REGIONS

    return frozenset(SUPPORTED_REGIONS)


def word(found: str | None) -> str:
    """As a label: the provider's or the reason's name, cut where somebody gave it a very long one."""
    return (found or "none")[:LONGEST_LABEL]
