"""`python -m tests.bench`: runs rows, shows tables, keeps JSON and a picture in `.gatepost/bench/`."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
import uvloop
from rich.console import Console

from deploy.local.paths import Trouble
from tests.bench import (
    delivering,
    feeding,
    flooding,
    growing,
    machine,
    neighbours,
    pages,
    passwords,
    sessions,
    users,
    whole,
    yardsticks,
)
from tests.bench.figures import Figure, Report
from tests.bench.picture import drawn
from tests.bench.report import show
from tests.bench.world import FOLDER, World, begun

Row = Callable[[World], AsyncIterator[Figure]]
ROWS: Final[Mapping[str, Row]] = {
    "flows": whole.flows,
    "handover": whole.handover,
    "neighbours": neighbours.neighbours,
    "feed": feeding.feed,
    "feed-topic": feeding.by_topic,
    "delivery": delivering.delivery,
    "passwords": passwords.passwords,
    "checks": sessions.checks,
    "memory": sessions.memory,
    "clear": sessions.clear,
    "pages": pages.pages,
    "flood": flooding.flood,
    "users": users.users,
    "growth": growing.growth,
    "soak": growing.soak,
}
LONG: Final = ("pages", "flood", "users", "growth", "soak")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    usual = [name for name in ROWS if name not in LONG]
    parser.add_argument(
        "--rows", type=_rows, default=usual, help=f"of {', '.join(ROWS)}; usual: all but {', '.join(LONG)}"
    )
    parser.add_argument("--seconds", type=float, default=20, help="of load for each row")
    parser.add_argument("--warm", type=float, default=10, help="seconds of load before the first row")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=1_000_000, help="for checks and memory")
    parser.add_argument(
        "--clear", type=_numbers, default=[1_000_000], help="sessions under Clear all: 1000000,10000000"
    )
    parser.add_argument("--fed", type=int, default=5_000, help="logins for the row feed-topic")
    parser.add_argument("--flood", type=_numbers, default=[50_000, 20_000], help="logins by the topic and by HTTP")
    parser.add_argument("--backlog", type=int, default=15_000, help="challenges for the row delivery")
    parser.add_argument("--messages", type=int, default=1_000_000, help="in the ledger, for pages")
    parser.add_argument("--minutes", type=int, default=20, help="of soak")
    parser.add_argument("--rate", type=float, default=0, help="flows a second of soak; usual: half of what is reached")
    parser.add_argument("--growth-users", type=_numbers, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--growth-sessions", type=_numbers, default=[100_000, 1_000_000, 10_000_000])
    return parser.parse_args()


def _rows(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ROWS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(ROWS)}")
    return names


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


async def run(asked: argparse.Namespace, out: Console) -> Report:
    """Yardsticks before and after: what they differ by is this machine's mood."""
    report = Report(at=datetime.now(UTC), machine=machine.described(), options=_plain(asked))
    async with begun(asked, out) as world:
        report.yardsticks += await yardsticks.measured(world)
        for name in asked.rows:
            await _one(world, name, report)
        report.yardsticks += await yardsticks.measured(world)
    report.compare()
    return report


async def _one(world: World, name: str, report: Report) -> None:
    """A row that cannot be measured is told, and the others go on."""
    start = time.perf_counter()
    try:
        async for figure in ROWS[name](world):
            report.figures.append(figure)
            world.out.print(f"  {figure.what}: {figure.told()}", highlight=False)
    except Exception as error:
        world.out.print(f"[red]✘ {name}: {type(error).__name__}: {error}[/]", highlight=False)
        report.troubles[name] = f"{type(error).__name__}: {error}"
    gc.collect()
    world.out.print(f"[green]✔[/] {name} [dim]{time.perf_counter() - start:.0f} s[/]")


def _plain(asked: argparse.Namespace) -> dict[str, object]:
    return {name: value for name, value in vars(asked).items() if name != "rows"}


def kept(report: Report) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    data, picture = msgspec.json.format(msgspec.json.encode(report)), drawn(report)
    for name in (f"{report.at:%Y-%m-%d-%H%M}", "latest"):
        (FOLDER / f"{name}.json").write_bytes(data)
        (FOLDER / f"{name}.svg").write_text(picture)


def main() -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asked, out = options(), Console() if sys.stdout.isatty() else Console(width=190)
    try:
        report = uvloop.run(run(asked, out))
    except Trouble as trouble:
        out.print(f"✘ {trouble}", style="red", markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    kept(report)
    show(report, out)
    out.print(f"kept in {FOLDER}: latest.json, latest.svg, {report.at:%Y-%m-%d-%H%M}.json", highlight=False)
    sys.exit(bool(report.troubles))


if __name__ == "__main__":
    main()
