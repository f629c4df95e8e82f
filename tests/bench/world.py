"""The running system, its users, and the load generator's ways in."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg
from rich.console import Console

from deploy.local import postgres
from deploy.local.environment import gatepost
from deploy.local.paths import STATE
from deploy.local.ports import free_ports
from deploy.local.postgres import OWNER
from deploy.local.stack import SERVICES, Stack
from services.platform.keys.keyring import Keyrings
from tests.bench import machine, seed
from tests.bench.gateway import cheap
from tests.bench.machine import Meter
from tests.bench.mailbox import Mailbox
from tests.bench.provider import Provider
from tests.bench.wire import Client

FOLDER: Final = STATE / "bench"
CHEAP: Final = [sys.executable, "-m", "tests.bench.gateway"]
ACCOUNT: Final = "bench"


@dataclass
class World:
    """What rows work with. `people` goes round: nobody signs in twice within a few minutes."""

    stack: Stack
    provider: Provider
    out: Console
    options: Any
    account: UUID
    people: list[seed.Person] = field(default_factory=list)
    sessions: Any = None
    _next: int = 0

    def person(self) -> seed.Person:
        self._next += 1
        return self.people[self._next % len(self.people)]

    def client(self, service: str) -> Client:
        return Client(self.stack.environment.url(service))

    def basic(self, client: str = "operator") -> dict[str, str]:
        return {"Authorization": aiohttp.encode_basic_auth(*self.stack.client(client))}

    def rings(self) -> Keyrings:
        return Keyrings(self.stack.environment.keys / "gateway")

    def pids(self) -> dict[str, int]:
        found = {child.program.name: child.pid for child in self.stack.children() if child.pid is not None}
        return {**found, "load": machine.own()}

    @staticmethod
    def spare_port() -> int:
        return free_ports().inbox

    @staticmethod
    def usual(service: str) -> list[str]:
        """The command that starts a service anywhere."""
        return gatepost("serve", service)

    async def run_instead(self, name: str, command: list[str], **environment: str) -> None:
        """Stop a service and start it by another command, or with more in its environment."""
        usual = self.stack.service(name)
        await self.stack.run(replace(usual, command=command, environment={**usual.environment, **environment}))

    def meter(self) -> Meter:
        return Meter(self.pids())

    def memory(self) -> dict[str, machine.Memory]:
        return {name: machine.memory(pid) for name, pid in self.pids().items()}

    async def owner(self, service: str) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(self.stack.dsn(service, OWNER), command_timeout=600)

    async def add_users(self, count: int) -> None:
        """Until there are that many."""
        made = seed.Users(self.rings(), self.account, cheap().hash(seed.PASSWORD))
        have = len(self.people)

        def rows(first: int, count: int) -> Iterator[tuple[Any, ...]]:
            for person, row in made.rows(have + first, count):
                self.people.append(person)
                yield row

        with self.out.status("users …") as shown:
            batches = seed.in_batches(count - have, rows, lambda n: shown.update(f"users … {have + n:,}"))
            await seed.load(self.stack.dsn("gateway", OWNER), "users", seed.USER, batches)

    async def add_plain(self, count: int, password_hash: str) -> list[seed.Person]:
        """Users without a second factor, by the gateway's own hash."""
        made, people = seed.Users(self.rings(), self.account, password_hash, sms=False), list[seed.Person]()

        def rows(first: int, count: int) -> Iterator[tuple[Any, ...]]:
            for person, row in made.rows(90_000_000 + first, count):
                people.append(person)
                yield row

        batches = seed.in_batches(count, rows, lambda _: None)
        await seed.load(self.stack.dsn("gateway", OWNER), "users", seed.USER, batches)
        return people


@asynccontextmanager
async def begun(options: Any, out: Console) -> AsyncIterator[World]:
    """A system of its own on free ports; nothing is left running."""
    ports = free_ports()
    spare, mail = free_ports().inbox, free_ports().smtp
    postgres.remove(FOLDER / "state")
    shutil.rmtree(FOLDER / "state", ignore_errors=True)
    extra = {
        "GATEPOST_TWILIO_BASE_URL": f"http://127.0.0.1:{spare}",
        "GATEPOST_SMTP_PORT": str(mail),
        "GATEPOST_TRUSTED_PROXIES": "127.0.0.1",
        "GATEPOST_GUARD_MODE": "monitor",
    }
    stack = Stack(FOLDER / "state", ports, out, extra)
    async with stack:
        token = stack.environment.of_simulator()["GATEPOST_SIM_TWILIO_TOKEN_FILE"]
        async with Provider(spare, _text(token)) as provider, Mailbox(mail):
            world = World(stack, provider, out, options, await _account(stack))
            await world.run_instead("gateway", CHEAP)
            await world.add_users(options.users)
            yield world
    postgres.remove(FOLDER / "state")


def _text(path: str) -> str:
    with open(path) as file:
        return file.read().strip()


async def _account(stack: Stack) -> UUID:
    client = Client(stack.environment.url("gateway"))
    headers = {"Authorization": aiohttp.encode_basic_auth(*stack.client())}
    answer = await client.call("POST", "/v1/accounts", {"name": ACCOUNT}, headers)
    client.close()
    return UUID(answer.json()["account_id"])


async def settled(seconds: float = 1.0) -> None:
    """What the load before left to do (receipts, deletes) is no cost of the next row."""
    await asyncio.sleep(seconds)


__all__ = ["CHEAP", "SERVICES", "World", "begun", "settled"]
