"""What processes cost, from /proc: processor seconds, memory, file descriptors, cores."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TICK: Final = os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
PROC: Final = Path("/proc")
MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class Memory:
    """In bytes; PSS counts a shared page by the share of each who has it."""

    rss: int
    pss: int
    descriptors: int


def own() -> int:
    """The load generator, which also started everything else."""
    return os.getpid()


def tree(pid: int) -> list[int]:
    """The process and what it started, as far as it lives; the load generator alone."""
    found = [pid]
    if pid == own():
        return found
    for task in _read(PROC / str(pid) / "task" / str(pid) / "children").split():
        found += tree(int(task))
    return found


def seconds(pid: int) -> float:
    """Processor seconds of a process, of what it started, and of those of them that have ended."""
    alive = sum(sum(_stat(each)[:2]) for each in tree(pid))
    ended = 0 if pid == own() else sum(_stat(pid)[2:4])
    return (alive + ended) / TICK


def memory(pid: int) -> Memory:
    every = tree(pid)
    rolled = [_rollup(each) for each in every]
    descriptors = sum(_count(PROC / str(each) / "fd") for each in every)
    return Memory(sum(r.get("Rss", 0) for r in rolled), sum(r.get("Pss", 0) for r in rolled), descriptors)


def pin(pid: int, cores: Iterable[int]) -> None:
    """Every thread of the process and of what it started runs there, and what they will start too."""
    wanted = set(cores)
    for each in tree(pid):
        for thread in _names(PROC / str(each) / "task"):
            try:
                os.sched_setaffinity(int(thread), wanted)
            except ProcessLookupError:
                continue


CORES: Final = sorted(os.sched_getaffinity(0))


def cores_of(pid: int) -> str:
    try:
        return ",".join(str(core) for core in sorted(os.sched_getaffinity(pid)))
    except ProcessLookupError:
        return "-"


def everybody() -> tuple[float, float]:
    """Processor seconds of the whole machine: used, and stolen by other guests of the host."""
    fields = [int(text) for text in _read(PROC / "stat").splitlines()[0].split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq) / TICK, steal / TICK


def described() -> dict[str, str]:
    """The machine, as a reader of figures wants to know it."""
    info = _read(PROC / "cpuinfo")
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    total = int(_read(PROC / "meminfo").split()[1]) * 1024
    return {
        "processor": model,
        "cores": str(len(CORES)),
        "memory": f"{total / MIB / 1024:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


@dataclass
class Meter:
    """Processor seconds of named processes between `start` and `stop`, also of those that are replaced meanwhile."""

    pids: dict[str, int]
    used: dict[str, float] = field(default_factory=dict)
    others: float = 0.0
    stolen: float = 0.0
    _kept: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        self._before = {name: seconds(pid) for name, pid in self.pids.items()}
        self._machine = everybody()

    def ends(self, name: str) -> None:
        """Say so while it still lives; `pids` then gets its successor."""
        self._kept[name] = self._kept.get(name, 0.0) + seconds(self.pids[name]) - self._before[name]
        self._before[name] = 0.0

    def stop(self) -> None:
        now = {name: seconds(pid) - self._before[name] + self._kept.get(name, 0.0) for name, pid in self.pids.items()}
        self.used = {name: max(0.0, spent) for name, spent in now.items()}
        used, stolen = everybody()
        self.others = max(0.0, used - self._machine[0] - sum(self.used.values()))
        self.stolen = stolen - self._machine[1]


def _stat(pid: int) -> list[int]:
    """utime, stime, cutime, cstime in ticks."""
    text = _read(PROC / str(pid) / "stat")
    return [int(value) for value in text.rpartition(")")[2].split()[11:15]] if text else [0, 0, 0, 0]


def _rollup(pid: int) -> dict[str, int]:
    lines = [line.split() for line in _read(PROC / str(pid) / "smaps_rollup").splitlines()[1:]]
    return {line[0].rstrip(":"): int(line[1]) * 1024 for line in lines if len(line) == 3}


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _names(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.iterdir()]
    except OSError:
        return []


def _count(path: Path) -> int:
    return len(_names(path))
