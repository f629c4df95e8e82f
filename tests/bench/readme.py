"""`python -m tests.bench.readme [run.json]`: puts a run's table into the README, between its two marks."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

import msgspec

from deploy.local.paths import ROOT
from tests.bench.figures import Figure, Report, number
from tests.bench.world import FOLDER

BEGIN: Final = "<!-- bench -->"
END: Final = "<!-- /bench -->"


def table(report: Report) -> str:
    head = "| what | hold | measured | processor, ms each | in bare routes |\n|---|---|---|---|---|"
    rows = "\n".join(_row(figure) for figure in report.figures)
    return f"{_where(report)}\n\n{head}\n{rows}\n\n{_yardsticks(report)}{_missed(report)}"


def _where(report: Report) -> str:
    m = report.machine
    noise = max((each.others for each in (*report.figures, *report.yardsticks)), default=0.0)
    quiet = f"others used up to {noise:.1f} cores meanwhile" if noise > 0.2 else "nothing else ran"
    return f"{report.at:%Y-%m-%d}, {m['processor']}, {m['cores']} cores, {m['memory']}, everything on it; {quiet}."


def _row(figure: Figure) -> str:
    parts = [f"{number(figure.rate)} {figure.unit}"] if figure.rate else []
    parts += [f"p50 {number(figure.p50)}, p99 {number(figure.p99 or 0)} ms"] if figure.p50 is not None else []
    parts += [f"{figure.more['full_mb']:.0f} MB"] if "full_mb" in figure.more else []
    parts += [f"{figure.ratio['bare hashing']:.0%} of bare hashing"] if "bare hashing" in figure.ratio else []
    measured = ", ".join(parts) + (f", {figure.failed} failed" if figure.failed else "")
    cost = f"{figure.cpu_total:.3g}" if figure.cpu else ""
    routes = f"{figure.cost.get('bare aiohttp route', 0):.3g}" if figure.cpu else ""
    measured = f"**{measured}**" if figure.held is False else measured
    return f"| {figure.what} | {figure.hold} | {measured} | {cost} | {routes} |"


def _yardsticks(report: Report) -> str:
    each = [f"{name} {rate:,.0f}/s ({cost:.3g} ms)" for name, rate, cost in report.yardstick_means()]
    return f"Yardsticks of the same run: {', '.join(each)}."


def _missed(report: Report) -> str:
    missed = [figure.what for figure in report.figures if figure.held is False]
    return f" Not held (bold): {'; '.join(missed)}." if missed else " Every figure is held."


def put(text: str, into: str) -> str:
    """Raises `ValueError` where the marks are missing."""
    if BEGIN not in into or END not in into:
        raise ValueError(f"the README has no {BEGIN} … {END}")
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{text}\n{END}", into, flags=re.DOTALL)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "latest.json"
    report = msgspec.json.decode(path.read_bytes(), type=Report)
    readme = ROOT / "README.md"
    readme.write_text(put(table(report), readme.read_text()))
    sys.stdout.write(f"README.md: {len(report.figures)} rows of {report.at:%Y-%m-%d %H:%M} UTC\n")


if __name__ == "__main__":
    main()
