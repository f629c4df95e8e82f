"""One measurement, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from statistics import mean
from typing import Any

import msgspec

from tests.bench.machine import MIB, Memory, Meter, cores_of


class Figure(msgspec.Struct, kw_only=True):
    """A row of the table. Times are in milliseconds, processor time in milliseconds for each operation."""

    row: str
    what: str
    operations: int
    seconds: float
    rate: float
    unit: str
    p50: float | None = None
    p99: float | None = None
    worst: float | None = None
    failed: int = 0
    hold: str = ""
    held: bool | None = None
    ratio: dict[str, float] = {}
    cost: dict[str, float] = {}
    cpu: dict[str, float] = {}
    cpu_total: float = 0.0
    busy: dict[str, float] = {}
    others: float = 0.0
    stolen: float = 0.0
    memory: dict[str, dict[str, float]] = {}
    cores: dict[str, str] = {}
    more: dict[str, Any] = {}

    def told(self) -> str:
        """One line."""
        parts = [f"{self.rate:,.4g} {self.unit}"] if self.rate else []
        parts += [f"p50 {self.p50:,.4g} ms, p99 {self.p99:,.4g} ms"] if self.p50 is not None else []
        parts += [f"{self.cpu_total:.3g} ms of processor each"] if self.cpu else []
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.hold}: {'yes' if self.held else 'NO'}"] if self.hold else []
        return " · ".join(parts)


class Report(msgspec.Struct, kw_only=True):
    """One run. A ratio is the row's rate over the yardstick's, a cost the row's processor time over the yardstick's."""

    at: datetime
    machine: dict[str, str]
    options: dict[str, Any]
    yardsticks: list[Figure] = []
    figures: list[Figure] = []
    troubles: dict[str, str] = {}

    def compare(self) -> None:
        for name, rate, cost in self.yardstick_means():
            for figure in self.figures:
                figure.ratio[name] = _round(figure.rate / rate)
                figure.cost[name] = _round(figure.cpu_total / cost)

    def yardstick_means(self) -> list[tuple[str, float, float]]:
        """Name, rate and processor milliseconds of each, over the times it was measured."""
        names = dict.fromkeys(each.what for each in self.yardsticks)
        every = [(name, [each for each in self.yardsticks if each.what == name]) for name in names]
        return [(n, mean(e.rate for e in each), mean(e.cpu_total for e in each)) for n, each in every]


class Stopwatch:
    """Times of operations and what the processes spent meanwhile."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.times: list[float] = []
        self.failed = 0

    def __enter__(self) -> Stopwatch:
        self.meter.start()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self.meter.stop()
        self.cores = {name: cores_of(pid) for name, pid in self.meter.pids.items()}

    def figure(self, row: str, what: str, unit: str, operations: int | None = None, **more: Any) -> Figure:
        count = len(self.times) if operations is None else operations
        used = self.meter.used
        each = {name: _round(spent * 1000 / count) for name, spent in used.items()} if count else {}
        return Figure(
            row=row,
            what=what,
            unit=unit,
            operations=count,
            seconds=_round(self.seconds),
            rate=_round(count / self.seconds),
            p50=_ms(self.times, 0.5),
            p99=_ms(self.times, 0.99),
            worst=_ms(self.times, 1.0),
            failed=self.failed,
            cpu=each,
            cpu_total=_round(sum(each.values())),
            busy={name: _round(spent / self.seconds) for name, spent in used.items()},
            others=_round(self.meter.others / self.seconds),
            stolen=_round(self.meter.stolen / self.seconds),
            cores=self.cores,
            **more,
        )


def shown(memory: dict[str, Memory]) -> dict[str, dict[str, float]]:
    """In MiB."""
    return {
        name: {"rss": round(m.rss / MIB, 1), "pss": round(m.pss / MIB, 1), "descriptors": m.descriptors}
        for name, m in memory.items()
    }


def number(value: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percentile(times: Sequence[float], share: float) -> float:
    """Nearest rank."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _ms(times: Sequence[float], share: float) -> float | None:
    return _round(percentile(times, share) * 1000) if times else None


def _round(number: float) -> float:
    return float(f"{number:.4g}")
