"""One local system: Kafka, Postgres, the simulator and the three services, in a state folder of its own."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

import aiohttp
from rich.console import Console

from deploy.local import kafka, prepare, servers
from deploy.local.environment import Environment, gatepost
from deploy.local.ports import Ports
from deploy.local.postgres import DATABASES, Postgres, forget_the_rest
from deploy.local.processes import Child, Program

T = TypeVar("T")
SERVICES = tuple(DATABASES)


class Stack:
    """Starts and stops everything, saying what it does. `folder` keeps data, logs, keys and secrets."""

    def __init__(
        self, folder: Path, ports: Ports, out: Console | None = None, extra: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.ports = ports
        self._out = out or Console(stderr=True, quiet=True)
        self._extra = extra
        self._children: dict[str, Child] = {}
        self.postgres: Postgres
        self.environment: Environment

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    @property
    def kafka(self) -> str:
        return f"127.0.0.1:{self.ports.kafka}"

    def dsn(self, service: str, role: str | None = None) -> str:
        """The DSN of `gateway`, `delivery` or `session-store`; `role` defaults to the service's own."""
        return self.postgres.dsn(DATABASES[service], role or DATABASES[service])

    def child(self, name: str) -> Child:
        return self._children[name]

    def children(self) -> list[Child]:
        return list(self._children.values())

    async def start(self) -> None:
        """Everything, ready for logins. What was started is stopped again when something fails."""
        try:
            await self.start_servers()
            await self.prepare()
            await self.start_services()
        except BaseException:
            await self.stop()
            raise

    async def start_servers(self) -> None:
        """Kafka, Postgres and the simulator."""
        (self.folder / "logs").mkdir(parents=True, exist_ok=True, mode=0o700)
        programs = await self._step("servers fetched", self._unpacked)
        await self._step("kafka, postgres and simulator are up", lambda: self._run_all(programs))
        await self._step("databases and roles", self.postgres.prepare)

    async def prepare(self) -> None:
        """Topics, migrations, keys, and the services' own clients."""
        dsn = self.dsn("gateway")
        await self._step("keys", lambda: prepare.keys(self.environment))
        await self._step("topics and migrations", lambda: prepare.topics_and_migrations(self.kafka, self.postgres))
        await self._step("clients", lambda: prepare.service_clients(self.kafka, dsn, self.environment))

    async def start_services(self) -> None:
        programs = [self.service(name) for name in SERVICES]
        await self._step("gateway, delivery and session store are ready", lambda: self._run_all(programs))

    def service(self, name: str) -> Program:
        """How `gateway`, `delivery` or `session-store` is started here."""
        ready = _answers(f"{self.environment.url(name)}/readyz")
        return Program(name, gatepost("serve", name), ready, self.environment.of_service(name))

    async def run(self, *programs: Program) -> None:
        """Start these instead of what runs under their names."""
        await self._end([program.name for program in programs])
        await self._run_all(list(programs))

    async def stop(self) -> None:
        """Services first, then what they need; nothing is left running."""
        await self._end([*SERVICES, "simulator"])
        await self._end(["kafka", "postgres"])

    async def _unpacked(self) -> list[Program]:
        found = await asyncio.to_thread(servers.fetched)
        forget_the_rest(self.folder)
        self.postgres, queue = await asyncio.gather(
            asyncio.to_thread(Postgres, found, self.folder, self.ports),
            asyncio.to_thread(kafka.program, found, self.folder / "kafka", self.ports),
        )
        self.environment = Environment(self.folder, self.ports, self.postgres, self._extra)
        return [self.postgres.program(), queue, self._simulator()]

    def client(self, name: str = "operator") -> tuple[str, str]:
        """client_id and secret of a client that `prepare` made."""
        client_id, _, secret = self.environment.client_file(name).read_text().strip().partition(":")
        return client_id, secret

    def _simulator(self) -> Program:
        command = [sys.executable, "-m", "deploy.simulator"]
        ready = _answers(f"http://127.0.0.1:{self.ports.inbox}/messages", smtp=self.ports.smtp)
        return Program("simulator", command, ready, self.environment.of_simulator())

    async def _run_all(self, programs: list[Program]) -> None:
        for program in programs:
            self._children[program.name] = Child(program, self.folder / "logs")
        await asyncio.gather(*(self._children[program.name].start() for program in programs))

    async def _end(self, names: list[str]) -> None:
        present = [self._children.pop(name) for name in names if name in self._children]
        await asyncio.gather(*(child.stop() for child in present))

    async def _step(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        start = time.monotonic()
        with self._out.status(f"{name} …"):
            result = await action()
        self._out.print(f"[green]✔[/] {name} [dim]{time.monotonic() - start:.1f} s[/]")
        return result


def _answers(url: str, smtp: int | None = None) -> Callable[[], Awaitable[bool]]:
    """A probe: 200 from that URL, and a greeting from that SMTP port."""

    async def ask() -> bool:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status == 200 and (smtp is None or await _greets(smtp))

    return ask


async def _greets(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return (await reader.readline()).startswith(b"220")
    finally:
        writer.close()
