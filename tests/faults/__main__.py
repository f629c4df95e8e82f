"""`make faults [FAULTS=<part of a name>] [SEEDS=3]`: every fault alone, with each seed; one row for each fault."""

import asyncio
import logging
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from deploy.local import postgres
from deploy.local.paths import STATE
from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from tests.faults.checker import check, report
from tests.faults.records import Record
from tests.faults.run import Fault, Plan, play
from tests.faults.site import Site, site_on
from tests.faults.table import GROUPS, LONG

FOLDER: Final = STATE / "faults"
SLOTS: Final = 64
WIDTH: Final = 130  # the table keeps one line for each fault, also in a file
FEW_SLOTS: Final = 8


class Row(NamedTuple):
    """What became of one run."""

    accepted: int
    delivered: int
    verified: int
    sent_twice: int
    heal_seconds: float | None
    broken: int

    @classmethod
    def of(cls, record: Record, broken: int) -> "Row":
        arrived = [sent.ref for sent in record.submissions if sent.arrived]
        twice = [ref for ref, times in Counter(arrived).items() if times > 1]
        end = max(moment.ended for moment in record.faults)
        return cls(
            len(record.accepted()),
            len({record.ledger[ref]["login_id"] for ref in arrived}),
            sum(row["state"] == "verified" for row in record.logins.values()),
            len(twice),
            None if record.healed is None else record.healed - end,
            broken,
        )


def chosen(words: Sequence[str]) -> list[Fault]:
    every = [fault for group in GROUPS.values() for fault in group] + list(LONG)
    return [fault for fault in every if not words or any(word in fault.name for word in words)]


async def run(faults: Sequence[Fault], seeds: int, out: Console) -> int:
    """Gives how many rules broke."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    postgres.remove(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    table = Table("fault", "accepted", "delivered", "verified", "sent twice", "seconds to heal", "broken")
    broken = 0
    async with Stack(FOLDER, free_ports(), out, {"GATEPOST_GUARD_MODE": "monitor"}) as stack:
        for fault in faults:
            async with site_on(stack, FEW_SLOTS if "backlog" in fault.name else SLOTS) as site:
                found = [await one(site, fault, seed, out) for seed in range(1, seeds + 1)]
            broken += sum(row.broken for row in found)
            table.add_row(fault.name, *_cells(found))
    out.print(table)
    return broken


async def one(site: Site, fault: Fault, seed: int, out: Console) -> Row:
    start, crowd = time.monotonic(), "waiting" in fault.name
    plan = Plan(seed, least=40, rate=10, code_seconds=300 if crowd else 60, settle=60 if crowd else 30)
    record = await play(site, plan, [fault])
    broken = check(record)
    if broken:
        out.print(report(record, broken), markup=False, highlight=False)
    row = Row.of(record, len(broken))
    out.print(f"{fault.name}, seed {seed}: {row} [dim]{time.monotonic() - start:.0f} s[/]", highlight=False)
    return row


def _cells(found: Sequence[Row]) -> list[str]:
    """Sums over the seeds; of the healing times the longest."""
    sums = [str(sum(row[n] for row in found)) for n in range(4)]  # type: ignore[misc]
    healed = [row.heal_seconds for row in found]
    longest = "never" if None in healed else f"{max(s for s in healed if s is not None):.1f}"
    return [*sums, longest, str(sum(row.broken for row in found))]


def main() -> None:
    out = Console(soft_wrap=True)
    out.width = max(out.width, WIDTH)
    faults = chosen(sys.argv[1:])
    if not faults:
        out.print("no fault has such a name; there are:\n" + "\n".join(f"  {fault.name}" for fault in chosen([])))
        sys.exit(2)
    sys.exit(bool(asyncio.run(run(faults, int(os.environ.get("SEEDS", "3")), out))))


if __name__ == "__main__":
    main()
