"""The run as tables in the terminal."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure, Report, number

PARTS: Final = ("gateway", "delivery", "session-store", "postgres", "kafka", "load")


def show(report: Report, out: Console) -> None:
    words = " · ".join(f"{name} {value}" for name, value in report.machine.items())
    out.print(f"\n{report.at:%Y-%m-%d %H:%M} UTC · {words}", highlight=False)
    for table in (_yardsticks(report), _figures(report), _costs(report), _memory(report)):
        out.print(table)
    for name, trouble in report.troubles.items():
        out.print(f"[red]not measured: {name}: {trouble}[/]", highlight=False)


def _yardsticks(report: Report) -> Table:
    table = Table("yardstick", "rate", "p50 ms", "p99 ms", "processor ms", "others' cores", box=None)
    for each in report.yardsticks:
        cells = (f"{each.rate:,.0f} {each.unit}", _ms(each.p50), _ms(each.p99), f"{each.cpu_total:.3g}")
        table.add_row(each.what, *cells, f"{each.others:.2f}")
    return table


def _figures(report: Report) -> Table:
    table = Table("row", "rate", "p50 ms", "p99 ms", "failed", "hold", "", "of a bare route, select, produce", box=None)
    for each in report.figures:
        held = "" if each.held is None else "[green]yes[/]" if each.held else "[red]no[/]"
        ratios = " ".join(f"{value:.3g}" for name, value in each.ratio.items() if name.startswith("bare"))
        rate = f"{number(each.rate)} {each.unit}" if each.rate else "-"
        table.add_row(each.what, rate, _ms(each.p50), _ms(each.p99), str(each.failed), each.hold, held, ratios)
    return table


def _costs(report: Report) -> Table:
    table = Table("processor ms each", "all", *PARTS, "cores busy", "others", "in bare routes", box=None)
    for each in report.figures:
        if each.cpu:
            parts = [f"{each.cpu.get(name, 0):.3g}" for name in PARTS]
            busy = f"{sum(each.busy.values()):.2f}"
            routes = f"{each.cost.get('bare aiohttp route', 0):.3g}"
            table.add_row(each.what, f"{each.cpu_total:.3g}", *parts, busy, f"{each.others:.2f}", routes)
    return table


def _memory(report: Report) -> Table:
    table = Table("memory RSS/PSS in MiB", *PARTS, "on cores", box=None)
    for each in report.figures:
        if each.memory:
            table.add_row(each.what, *(_mib(each, name) for name in PARTS), _cores(each))
    return table


def _cores(figure: Figure) -> str:
    where: dict[str, list[str]] = {}
    for name, cores in figure.cores.items():
        where.setdefault(cores, []).append(name)
    return "; ".join(f"{cores}: {'all' if len(where) == 1 else ' '.join(names)}" for cores, names in where.items())


def _mib(figure: Figure, name: str) -> str:
    found = figure.memory.get(name)
    return f"{found['rss']:.0f}/{found['pss']:.0f}" if found else "-"


def _ms(value: float | None) -> str:
    return "-" if value is None else number(value)
