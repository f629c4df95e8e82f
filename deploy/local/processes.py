"""Child processes: each with its log, a probe by what it does, and a supervisor that starts a crashed one again."""

import asyncio
import ctypes
import json
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, Protocol

from deploy.local.paths import ROOT, Trouble

Probe = Callable[[], Awaitable[bool]]
Spawn = Callable[["Program", IO[bytes]], Awaitable["Process"]]
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 12.0
LONGEST_PAUSE: Final = 10.0
_libc: Final = ctypes.CDLL(None)
PR_SET_PDEATHSIG: Final = 1


class Process(Protocol):
    """What a child needs of `asyncio.subprocess.Process`."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    def send_signal(self, signal: int) -> None: ...


async def spawned(program: "Program", log: IO[bytes]) -> Process:
    return await asyncio.create_subprocess_exec(
        *program.command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=program.folder,
        env=program.sees(),
        preexec_fn=die_with_parent,
        start_new_session=True,  # Ctrl-C reaches only us: we stop the others in their order
    )


@dataclass
class Program:
    """What to run. `ready` asks it for what it is there for."""

    name: str
    command: Sequence[str]
    ready: Probe
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path = ROOT
    stop_with: signal.Signals = signal.SIGTERM
    longest_pause: float = LONGEST_PAUSE
    spawn: Spawn = spawned

    def sees(self) -> dict[str, str]:
        """Its environment: no GATEPOST_ variable but those that are meant for it."""
        return {**inherited(), **self.environment}


class Child:
    """A program that is kept running until `stop`."""

    def __init__(self, program: Program, logs: Path) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self.restarts = 0
        self.ended_with: int | None = None
        self.since = datetime.now(UTC)
        self.process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._said_before = 0
        self._stopping = False

    async def start(self, timeout: float = START_SECONDS) -> None:
        """Return when it does its work; raises `Trouble` with the end of its log when it does not."""
        await self._spawn()
        deadline = asyncio.get_running_loop().time() + timeout
        while not await _probed(self.program.ready):
            if self._stopping:
                return
            if self.process is not None and self.process.returncode is not None:
                raise Trouble(f"{self.program.name} ended with {self.process.returncode}:\n{self.tail()}")
            if asyncio.get_running_loop().time() > deadline:
                raise Trouble(f"{self.program.name} was not ready after {timeout:.0f} s:\n{self.tail()}")
            await asyncio.sleep(0.1)
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(self.program.stop_with)
            try:
                await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
            except TimeoutError:
                self.process.send_signal(signal.SIGKILL)
                await self.process.wait()

    def tail(self, lines: int = 15) -> str:
        """The end of what it has said since it was started."""
        said = self.log.read_bytes()[self._said_before :].decode(errors="replace")
        return "\n".join(said.splitlines()[-lines:])

    def _note(self, event: str, **more: object) -> None:
        """A line like those that the services log."""
        line = {"event": event, "process": self.program.name, **more, "level": "warning"}
        with self.log.open("a") as log:
            log.write(json.dumps(line | {"timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z")}) + "\n")

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.returncode is None else None

    async def _spawn(self) -> None:
        self.since = datetime.now(UTC)
        with self.log.open("ab") as log:
            self._said_before = log.tell()
            self.process = await self.program.spawn(self.program, log)

    async def _keep(self) -> None:
        pause = 0.2
        while self.process is not None:
            started = asyncio.get_running_loop().time()
            self.ended_with = await self.process.wait()
            if self._stopping:
                return
            lived = asyncio.get_running_loop().time() - started
            pause = 0.2 if lived > 30 else min(pause * 2, self.program.longest_pause)
            await asyncio.sleep(pause)
            self.restarts += 1
            self._note("process_started_again", ended_with=self.process.returncode)
            await self._spawn()


async def _probed(ready: Probe) -> bool:
    try:
        return await asyncio.wait_for(ready(), 3)
    except Exception:
        return False


def inherited() -> dict[str, str]:
    """A child sees no GATEPOST_ variable but those that were meant for it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")}


def die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
