"""A service started as `gatepost serve … --workers N` from here: its processes, by what its log says of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from deploy.local.environment import gatepost
from deploy.local.ports import free_ports
from deploy.local.processes import inherited
from deploy.local.stack import Stack

PATIENCE = 90.0
FEW: Final = {"GATEPOST_DATABASE_POOL": "4", "GATEPOST_FEED_DATABASE_POOL": "2"}
"""Connections of each worker: all are opened at its start, and each costs 30 ms of processor."""


@dataclass
class Team:
    process: asyncio.subprocess.Process
    url: str
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def lines(self, event: str) -> list[dict[str, Any]]:
        whole, _, _ = self.log.read_text().rpartition("\n")  # the last one may be half written
        found = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    def workers(self) -> dict[int, int]:
        """The newest process of each number."""
        return {line["worker"]: line["pid"] for line in self.lines("worker_started")}

    async def until_ready(self, workers: int, more_than: int = 0) -> None:
        """Once so many listen, beyond those that did before."""
        await until(lambda: len(self.listening()) >= more_than + workers, self)

    def listening(self) -> list[dict[str, Any]]:
        """What workers said when they began to; the supervisor names no worker."""
        return [line for line in self.lines("listening") if "worker" in line]

    async def ask(self, method: str = "GET", path: str = "/healthz", **more: Any) -> tuple[int, str]:
        """On a connection of its own."""
        async with aiohttp.ClientSession() as http, http.request(method, self.url + path, **more) as answer:
            return answer.status, await answer.text()


async def until(holds: Any, team: Team) -> None:
    """Fails with the end of the log."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110 - it is another process that says so
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError("\n".join(team.log.read_text().splitlines()[-30:])) from None


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@asynccontextmanager
async def team_of(stack: Stack, service: str, folder: Path, *options: str, **changed: str) -> AsyncIterator[Team]:
    """On a port of its own, beside the one that the stack runs; `changed` are settings."""
    port = getattr(free_ports(), service.replace("-", "_"))
    settings = stack.environment.of_service(service) | FEW | {"GATEPOST_HTTP_PORT": str(port)}
    settings |= {f"GATEPOST_{name.upper()}": value for name, value in changed.items()}
    log = folder / f"{service}.log"
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *gatepost("serve", service, *options),
            env=inherited() | settings,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    team = Team(process, f"http://127.0.0.1:{port}", log)
    try:
        yield team
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE)
