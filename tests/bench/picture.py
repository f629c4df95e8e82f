"""The run as one SVG: how much of its hold each row reaches, and where a flow's processor time goes."""

from __future__ import annotations

import re
from html import escape
from typing import Final

from tests.bench.figures import Figure, Report
from tests.bench.report import PARTS

COLOURS: Final = ("#2f6db3", "#d9822b", "#3c9a5f", "#7a5aa6", "#8a8a8a", "#c9c9c9")
WIDE: Final = 900
LEFT: Final = 330
BAR: Final = 420
STEP: Final = 26


def drawn(report: Report) -> str:
    parts, y = [_text(16, 26, f"Gatepost, {report.at:%Y-%m-%d %H:%M} UTC", 15, "bold")], 44
    parts.append(_text(16, y, f"{report.machine.get('processor', '')}, {report.machine.get('cores', '')} cores", 11))
    y += 30
    parts.append(_text(16, y, "reached, of what is to hold (the line)", 12, "bold"))
    for figure in (each for each in report.figures if each.hold):
        y += STEP
        parts += _reached(figure, y)
    y += 2 * STEP
    parts.append(_text(16, y, "processor milliseconds of one operation", 12, "bold"))
    costs = [each for each in report.figures if each.cpu and each.unit in ("flows/s", "logins/s", "messages/s")]
    most = max((each.cpu_total for each in costs), default=1.0)
    for figure in costs:
        y += STEP
        parts += _cost(figure, y, most)
    y += STEP + 8
    parts += _legend(y)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE}" height="{y + 24}" font-family="sans-serif">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _reached(figure: Figure, y: int) -> list[str]:
    share = reached(figure)
    colour = "#3c9a5f" if figure.held else "#c0392b"
    line = LEFT + BAR // 2
    told = f"{figure.rate:,.4g} {figure.unit}" if figure.rate else f"{figure.worst or 0:,.3g} ms"
    return [
        _text(16, y + 13, figure.what[:52], 11),
        f'<rect x="{LEFT}" y="{y}" width="{min(share, 2.0) * BAR / 2:.0f}" height="16" fill="{colour}"/>',
        f'<line x1="{line}" y1="{y - 3}" x2="{line}" y2="{y + 19}" stroke="#222222"/>',
        _text(LEFT + BAR + 10, y + 13, told, 11),
    ]


def reached(figure: Figure) -> float:
    """1 is what is to hold; twice is the end of the scale. Of several bounds the one that is nearest to break."""
    shares = []
    if found := re.match(r"([\d,]+)/s", figure.hold):
        shares.append(figure.rate / float(found.group(1).replace(",", "")))
    for name, bound in re.findall(r"(p50|p99) < (\d+) ms", figure.hold):
        value = figure.p50 if name == "p50" else figure.p99
        shares.append(float(bound) / value if value else 2.0)
    if found := re.match(r"< ([\d.]+) s", figure.hold):
        shares.append(float(found.group(1)) * 1000 / (figure.worst or 1e9))
    if found := re.match(r"< (\d+) MB", figure.hold):
        shares.append(float(found.group(1)) / figure.more.get("full_mb", 1e9))
    if found := re.match(r"(\d+) % of bare hashing", figure.hold):
        shares.append(figure.ratio.get("bare hashing", 0) * 100 / float(found.group(1)))
    return min(shares, default=0.0)


def _cost(figure: Figure, y: int, most: float) -> list[str]:
    found, x = [_text(16, y + 13, figure.what[:52], 11)], float(LEFT)
    for name, colour in zip(PARTS, COLOURS, strict=True):
        width = figure.cpu.get(name, 0.0) / most * BAR
        found.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="16" fill="{colour}"/>')
        x += width
    return [*found, _text(LEFT + BAR + 10, y + 13, f"{figure.cpu_total:.3g} ms", 11)]


def _legend(y: int) -> list[str]:
    found = []
    for place, (name, colour) in enumerate(zip(PARTS, COLOURS, strict=True)):
        x = 16 + place * 130
        found += [f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>', _text(x + 18, y + 11, name, 11)]
    return found


def _text(x: int, y: int, text: str, size: int, weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="#222222">{escape(text)}</text>'
