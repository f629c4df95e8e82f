"""A dashboard as one SVG: its panels where its JSON places them, with what Prometheus answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

COLOURS: Final = ("#2f6db3", "#d9822b", "#3c9a5f", "#7a5aa6", "#c0392b", "#1f9ea8", "#b5892e", "#8a8a8a")
TRAFFIC: Final = {"green": "#3c9a5f", "yellow": "#d9a92b", "red": "#c0392b"}
COLUMN: Final = 52
LINE: Final = 30
GAP: Final = 4
HEAD: Final = 46
INK: Final = "#222222"
MOST: Final = 8


class Series(NamedTuple):
    name: str
    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> float | None:
        return self.points[-1][1] if self.points else None


Answers = Mapping[int, Sequence[Series]]
"""By the panel's id."""


class Box(NamedTuple):
    x: float
    y: float
    wide: float
    high: float


def drawn(dashboard: Mapping[str, Any], answers: Answers, title: str, span: tuple[float, float]) -> str:
    panels = dashboard["panels"]
    high = HEAD + max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels) * LINE + GAP
    body = [_text(12, 28, title, 15, "bold"), *(part for p in panels for part in _panel(p, answers, span))]
    wide = 24 * COLUMN + 2 * GAP
    style = f'xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" font-family="sans-serif"'
    return f'<svg {style}>\n<rect width="100%" height="100%" fill="#f4f5f7"/>\n' + "\n".join(body) + "\n</svg>\n"


def _panel(panel: Mapping[str, Any], answers: Answers, span: tuple[float, float]) -> Iterator[str]:
    place = panel["gridPos"]
    box = Box(
        GAP + place["x"] * COLUMN,
        HEAD + place["y"] * LINE,
        place["w"] * COLUMN - GAP,
        place["h"] * LINE - GAP,
    )
    if panel["type"] == "row":
        yield _text(box.x + 8, box.y + 20, panel["title"], 14, "bold")
        return
    series = answers.get(panel["id"], [])
    yield from _figure(panel, box, series) if panel["type"] == "stat" else _curves(panel, box, series, span)


def _figure(panel: Mapping[str, Any], box: Box, series: Sequence[Series]) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    known = [each.last for each in series if each.last is not None]
    steps = defaults.get("thresholds", {}).get("steps", [])
    colour = _colour(steps, _worst(steps, known)) if known and steps else "#5b6470"
    yield _frame(box, colour)
    yield _text(box.x + 8, box.y + 18, panel["title"], 12, "normal", "#ffffff")
    shown = "   ".join(_said(each, defaults["unit"]) for each in series if each.last is not None) or defaults["noValue"]
    size = 30 if len(shown) < 12 else 13
    yield _text(box.x + 8, box.y + box.high / 2 + 20, shown, size, "bold", "#ffffff")


def _said(series: Series, unit: str) -> str:
    value = told(series.last or 0.0, unit)
    return f"{series.name} {value}" if series.name else value


def _worst(steps: Sequence[Mapping[str, Any]], values: Sequence[float]) -> float:
    return min(values) if steps[0]["color"] == "red" else max(values)


def _colour(steps: Sequence[Mapping[str, Any]], value: float) -> str:
    passed = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return TRAFFIC[passed[-1]]


def _curves(panel: Mapping[str, Any], box: Box, series: Sequence[Series], span: tuple[float, float]) -> Iterator[str]:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    yield _frame(box, "#ffffff")
    yield _text(box.x + 8, box.y + 18, panel["title"], 12, "bold")
    shown = sorted((s for s in series if s.points), key=lambda s: -max(value for _, value in s.points))[:MOST]
    legend = math.ceil(len(shown) / 2) * 14
    inner = Box(box.x + 56, box.y + 28, box.wide - 66, box.high - 50 - legend)
    top = max((value for each in shown for _, value in each.points), default=0.0) or 1.0
    for share in (0.0, 0.5, 1.0):
        y = inner.y + inner.high * (1 - share)
        yield f'<line x1="{inner.x}" y1="{y:.1f}" x2="{inner.x + inner.wide}" y2="{y:.1f}" stroke="#e3e5e8"/>'
        yield _text(box.x + 8, y + 4, told(top * share, unit), 10, "normal", "#666666")
    yield _text(inner.x, inner.y + inner.high + 13, f"{span[1] - span[0]:.0f} s", 10, "normal", "#666666")
    for number, each in enumerate(shown):
        colour = COLOURS[number % len(COLOURS)]
        yield _line(each, inner, top, span, colour)
        x, y = inner.x + (number % 2) * inner.wide / 2, inner.y + inner.high + 28 + number // 2 * 14
        yield f'<rect x="{x:.1f}" y="{y - 8:.1f}" width="9" height="9" fill="{colour}"/>'
        yield _text(x + 13, y, f"{each.name}: {told(each.last or 0, unit)}"[:30], 10)
    if not shown:
        yield _text(inner.x, inner.y + inner.high / 2, "none", 12, "normal", "#666666")


def _line(series: Series, box: Box, top: float, span: tuple[float, float], colour: str) -> str:
    begin, end = span
    at = [
        f"{box.x + (when - begin) / (end - begin) * box.wide:.1f},{box.y + (1 - value / top) * box.high:.1f}"
        for when, value in series.points
    ]
    return f'<polyline points="{" ".join(at)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def told(value: float, unit: str) -> str:
    """As Grafana shows it, nearly."""
    match unit:
        case "s":
            return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "ops":
            return f"{value:.2f}/s"
        case _:
            return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


def _frame(box: Box, fill: str) -> str:
    size = f'width="{box.wide:.0f}" height="{box.high:.0f}"'
    return f'<rect x="{box.x:.0f}" y="{box.y:.0f}" {size} rx="3" fill="{fill}" stroke="#d5d8dc"/>'


def _text(x: float, y: float, text: str, size: int, weight: str = "normal", fill: str = INK) -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{fill}"'
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{escape(text)}</text>'
