"""A login's timeline as a picture: time goes to the right, a lane for each message.

Codes go out within milliseconds and receipts come after seconds, so time is drawn by its logarithm; the axis says so.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from services.delivery.deliveries import Delivery, Step, Timeline
from services.delivery.operations import words

Kind = Literal["waits", "called", "refused", "receipt"]

LEFT: Final = 236
WIDTH: Final = 960
RIGHT: Final = 36
TOP: Final = 40
LANE: Final = 56
BAR: Final = 20
SHORTEST: Final = 4
FINEST_MS: Final = 40
TICKS: Final = (0, 100, 1_000, 5_000, 30_000, 120_000, 600_000, 3_600_000)
FINAL: Final = frozenset({"delivered", "failed", "undelivered", "unknown", "expired", "cancelled"})


class Bar(NamedTuple):
    x: float
    width: float
    kind: Kind
    words: str


class Mark(NamedTuple):
    x: float
    tone: str
    sign: str
    words: str


class Lane(NamedTuple):
    y: float
    name: str
    to: str
    bars: Sequence[Bar]
    marks: Sequence[Mark]


class Tick(NamedTuple):
    x: float
    label: str


class Picture(NamedTuple):
    """Lengths are those of the viewBox."""

    width: int
    height: int
    lanes: Sequence[Lane]
    ticks: Sequence[Tick]
    closed: Mark | None


def picture_of(found: Timeline) -> Picture:
    last = max((_after(step) for step in found.steps), default=0.0)
    longest = max(last, 1_000.0)
    lanes = [
        _lane(TOP + n * LANE, row, [step for step in found.steps if step.delivery_id == row.delivery_id], longest)
        for n, row in enumerate(found.deliveries)
    ]
    ends = [step for step in found.steps if step.what == "login_closed"]
    closed = Mark(_x(_after(ends[0]), longest), "", "■", words.sentence(_told(ends[0]))) if ends else None
    ticks = [Tick(_x(at, longest), _label(at)) for at in TICKS if at <= longest]
    return Picture(WIDTH, TOP + len(lanes) * LANE + 34, lanes, ticks, closed)


def _lane(y: float, row: Delivery, steps: Sequence[Step], longest: float) -> Lane:
    name = "SMS" if row.channel == "sms" else "E-mail"
    return Lane(
        y, f"{name}: {words.cause(row.cause)}", row.to, list(_bars(steps, longest)), list(_marks(steps, longest))
    )


def _bars(steps: Sequence[Step], longest: float) -> Iterator[Bar]:
    """A step with a call ends the call; between two steps somebody waits, for a provider or for its receipt."""
    for before, step in zip((None, *steps), steps, strict=False):
        begun = _after(step) - (step.ms or 0)
        if before is not None and before.what not in FINAL - {"delivered"}:
            kind: Kind = "receipt" if before.what == "sent" else "waits"
            yield _bar(_after(before), begun, kind, longest, "waits for a receipt" if kind == "receipt" else "waits")
        if step.ms is not None:
            taken = step.what in ("sent", "delivered")
            yield _bar(begun, _after(step), "called" if taken else "refused", longest, words.sentence(_told(step)))


def _bar(begun: float, ended: float, kind: Kind, longest: float, text: str) -> Bar:
    x = _x(begun, longest)
    least = SHORTEST if kind in ("called", "refused") else 0
    return Bar(x, max(_x(ended, longest) - x, least), kind, text)


def _marks(steps: Sequence[Step], longest: float) -> Iterator[Mark]:
    for step in steps:
        told = _told(step)
        yield Mark(_x(_after(step), longest), words.step_tone(told), words.mark(told), words.sentence(told))


def _after(step: Step) -> float:
    return max(0.0, step.after_ms or 0)


def _told(step: Step) -> dict[str, object]:
    told: dict[str, object] = msgspec.to_builtins(step)
    return told


def _x(after_ms: float, longest: float) -> float:
    room = WIDTH - LEFT - RIGHT
    return round(LEFT + room * math.log1p(max(0.0, after_ms) / FINEST_MS) / math.log1p(longest / FINEST_MS), 1)


def _label(ms: int) -> str:
    if ms < 1_000:
        return f"{ms / 1000:g} s"
    return f"{ms // 1000} s" if ms < 60_000 else f"{ms // 60_000} min"
