"""What a finding is, and the arithmetic behind one."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

GUIDE: Final = "docs/operations.md"
FEW: Final = 5  # a share of fewer says nothing
MANY: Final = 20  # a percentile of fewer is one slow call


class Status(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class Line(NamedTuple):
    """`figure`: what was found. `do`: the next step where it is not OK. `section`: an anchor of docs/operations.md."""

    question: str
    name: str
    status: Status
    figure: str
    do: str
    section: str


WAITING, WORKING, SAFE, IN_TIME = (
    "Is anybody waiting?",
    "Is it working?",
    "Is it safe?",
    "Is it in time?",
)


def level(value: float, warn: float, fail: float | None = None) -> Status:
    if fail is not None and value >= fail:
        return Status.FAIL
    return Status.WARN if value >= warn else Status.OK


def counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def labelled(metrics: str, name: str, label: str) -> Iterator[tuple[str, float]]:
    """Of Prometheus' text format: each value of that metric by one of its labels."""
    for labels, value in re.findall(rf"^{name}\{{([^}}]*)\}} (\S+)$", metrics, re.M):
        if found := re.search(rf'(?:^|,){label}="([^"]*)"', labels):
            yield found[1], float(value)


def percentile(buckets: list[tuple[str, float]], share: float) -> float | None:
    """The upper end of the bucket that holds it; None without any value."""
    by_end: dict[float, float] = {}
    for end, count in buckets:
        by_end[float(end)] = by_end.get(float(end), 0) + count
    total = by_end.get(float("inf"), 0)
    return next((end for end in sorted(by_end) if by_end[end] >= share * total), None) if total else None


def worst(lines: list[Line]) -> Status:
    return max((line.status for line in lines), key=list(Status).index, default=Status.OK)
