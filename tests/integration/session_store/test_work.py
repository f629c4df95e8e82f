"""What runs beside the requests: trouble that passes is sat out, and work that ends takes its process with it."""

import asyncio
import signal
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from services.platform import clients, work
from services.platform.outbox import Outbox
from services.platform.postgres import until_it_works
from tests.ended import STOP_THIS_PROCESS
from tests.integration.session_store.world import Place, World, opened

FLOOR = "INSERT INTO floors (scope, id, floor) VALUES ('user', $1, 1) ON CONFLICT (scope, id) DO UPDATE SET floor = 2"


async def dies(*_: Any) -> None:
    raise asyncpg.InsufficientPrivilegeError("permission denied for table outbox")


@pytest.mark.parametrize(("whose", "name"), [(Outbox, "run"), (clients, "follow")])
async def test_work_that_ends_stops_its_process(
    place: Place, world: World, monkeypatch: pytest.MonkeyPatch, whose: Any, name: str
):
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    monkeypatch.setattr(whose, name, dies)
    monkeypatch.setattr(work, "stop_this_process", STOP_THIS_PROCESS)
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    try:
        async with opened(place, world.producer):
            await asyncio.wait_for(stopping.wait(), 10)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_the_loser_of_a_deadlock_does_it_again(place: Place):
    first, second = sorted((uuid4(), uuid4()))
    tries = 0

    async def both(*ids: Any) -> None:
        nonlocal tries
        tries += 1
        connection = await asyncpg.connect(place.dsn)
        try:
            async with connection.transaction():
                await connection.execute(FLOOR, ids[0])
                met.set() if held.is_set() else held.set()
                await asyncio.wait_for(met.wait(), 10)
                await connection.execute(FLOOR, ids[1])
        finally:
            await connection.close()

    held, met = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(until_it_works(lambda: both(first, second), "test_waits"))
        group.create_task(until_it_works(lambda: both(second, first), "test_waits"))
    assert tries == 3


async def test_a_server_that_takes_no_writes_for_a_while_is_asked_again(place: Place):
    connection = await asyncpg.connect(place.dsn)
    answers: list[str] = []

    async def write() -> None:
        await connection.execute("SET default_transaction_read_only = " + ("off" if answers else "on"))
        answers.append("asked")
        await connection.execute(FLOOR, uuid4())

    try:
        await until_it_works(write, "test_waits")
    finally:
        await connection.close()
    assert len(answers) == 2
