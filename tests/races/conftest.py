"""The whole system, with session stores in several processes: the stack's, one in this process, one of its own."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from deploy.local.environment import gatepost
from deploy.local.ports import free_ports
from deploy.local.processes import Child, Program
from deploy.local.stack import Stack
from services.platform.kafka import Connection, Producer
from tests.integration.gateway_login.conftest import HEARD
from tests.integration.gateway_login.world import Desk, Heard
from tests.integration.gateway_login.world import Place as Desks
from tests.integration.gateway_login.world import opened as at
from tests.integration.heard import listening
from tests.integration.session_store.world import Place, World, opened


@dataclass
class Process:
    """A store of its own process, asked over HTTP."""

    world: World
    child: Child

    @contextmanager
    def asleep(self) -> Iterator[None]:
        with stopped(self.child):
            yield


@contextmanager
def stopped(child: Child) -> Iterator[None]:
    """It keeps its sockets and runs no code."""
    pid = int(child.pid or 0)
    assert pid, f"{child.program.name} does not run"
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def store_place(stack: Stack) -> Place:
    return Place(stack.kafka, stack.dsn("session-store"), stack.environment.keys)


@pytest_asyncio.fixture(scope="session")
async def near(store_place: Place) -> AsyncIterator[World]:
    """A store in this process."""
    producer = Producer(Connection(store_place.kafka), "gatepost-test-races")
    async with opened(store_place, producer) as made:
        yield made
    await producer.stop()


@pytest_asyncio.fixture(scope="session")
async def far(stack: Stack, near: World) -> AsyncIterator[Process]:
    """The same store once more, as a process."""
    async with store_process(stack, near) as made:
        yield made


@pytest.fixture(scope="session")
def stores(stack: Stack, near: World, far: Process) -> dict[str, World]:
    """Every process of the one session store."""
    return {"stack": replace(near, base=stack.environment.url("session-store")), "near": near, "far": far.world}


@pytest_asyncio.fixture(scope="session")
async def desk(stack: Stack) -> AsyncIterator[Desk]:
    """A gateway in this process; it hears what goes out on the topics."""
    heard = Heard(stack.environment.keys / "gateway")
    place = Desks(stack.kafka, stack.dsn("gateway"), stack.environment.keys / "gateway")
    async with (
        listening(place.kafka, place.keys, HEARD, "gatepost-test-races-desk", heard.events),
        at(place, heard) as made,
    ):
        yield made


@asynccontextmanager
async def store_process(stack: Stack, near: World) -> AsyncIterator[Process]:
    port = free_ports().session_store
    url = f"http://127.0.0.1:{port}"
    told = stack.environment.of_service("session-store") | {"GATEPOST_HTTP_PORT": str(port), "GATEPOST_PUBLIC_URL": url}

    async def ready() -> bool:
        async with aiohttp.ClientSession() as http, http.get(url + "/readyz") as answer:
            return answer.status == 200

    child = Child(
        Program(f"session-store-{port}", gatepost("serve", "session-store"), ready, told), stack.folder / "logs"
    )
    await child.start()
    try:
        yield Process(replace(near, base=url), child)
    finally:
        await child.stop()


@asynccontextmanager
async def holding(dsn: str, statement: str) -> AsyncIterator[asyncpg.Connection]:
    """A transaction of the test's own that holds what the statement locks, until the context ends."""
    connection: asyncpg.Connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute(statement)
            yield connection
    finally:
        await connection.close()
