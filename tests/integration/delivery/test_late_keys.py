"""A key that has not reached delivery yet: what it opens waits for it, for as long as the code lives."""

import base64
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from deploy.local.stack import Stack
from services.delivery import receipts
from services.delivery.house import House
from services.delivery.ports import Result
from services.delivery.routes.parts import PARTS
from services.delivery.states import State
from services.platform.keys.contacts import Contacts
from services.platform.keys.keyring import Ring, read_ring, write_ring
from tests.integration.delivery.house import own_house, record, sweeping
from tests.integration.delivery.world import Login, World, until

LONG_AGO = timedelta(seconds=60)  # a second SMS call would be too late by far


@pytest_asyncio.fixture
async def late(stack: Stack, tmp_path: Path) -> AsyncIterator[House]:
    """A delivery with a folder of keys of its own."""
    shutil.copytree(stack.environment.keys / "delivery", tmp_path / "delivery")
    async with own_house(stack, keys=tmp_path / "delivery") as house:
        yield house


@pytest_asyncio.fixture
async def ahead(world: World, stack: Stack, tmp_path: Path) -> World:
    """A gateway whose contacts key is a new one."""
    raw = read_ring(stack.environment.keys / "gateway" / "contacts.json")
    old = [key | {"state": "retired"} for key in raw["keys"]]
    new = {"id": 99, "secret": base64.b64encode(os.urandom(32)).decode(), "state": "active"}
    write_ring(tmp_path / "contacts.json", raw | {"keys": [*old, new]})
    return replace(world, contacts=Contacts(Ring(tmp_path / "contacts.json")))


async def looked_at(house: House, login: Login, times: int) -> None:
    query = "SELECT count(*) FROM delivery_log WHERE login_id = $1 AND reason = 'key-unknown'"

    async def enough() -> Any:
        assert await state(house, login) != "failed"
        return await house.pool.fetchval(query, login.login_id) >= times or None

    await until(enough, 20, f"{times} looks")


async def state(house: House, login: Login) -> Any:
    query = "SELECT state FROM deliveries WHERE login_id = $1 AND channel = 'sms'"
    return await house.pool.fetchval(query, login.login_id)


async def test_a_code_whose_key_comes_late_goes_out_by_sms(late: House, ahead: World, tmp_path: Path):
    login = Login()
    await late.ingest.challenges([record(ahead.challenge(login, time=datetime.now(UTC) - LONG_AGO))])
    async with sweeping(late):
        await looked_at(late, login, 3)
        shutil.copy(tmp_path / "contacts.json", tmp_path / "delivery")
        assert (await ahead.message(login.phone)).endswith(ahead.code(login, "sms"))
    assert await ahead.messages(login.email) == []


async def test_a_receipt_that_cannot_be_acted_on_is_made_up_for_once_the_key_is_back(
    late: House, world: World, ahead: World, tmp_path: Path
):
    login, parts, ring = Login(), late.site[PARTS], tmp_path / "delivery" / "contacts.json"
    await world.faults(sms={str(login.phone): {"mode": "no_receipt"}})
    await late.ingest.challenges([record(world.challenge(login))])
    await until(lambda: has_state(late, login, "sent"), 15, "sent")
    kept, known = read_ring(ring), parts.keys()["contacts"]
    write_ring(ring, kept | {"keys": [key for key in read_ring(tmp_path / "contacts.json")["keys"] if key["id"] == 99]})
    await until(lambda: has_keys(late, [99]), 10, "the key is gone")
    said = Result(state=State.UNDELIVERED, reason="unreachable", provider="twilio")
    row = await late.pool.fetchval("SELECT id FROM deliveries WHERE login_id = $1", login.login_id)
    assert not await receipts.receive(parts.ledger, parts.secrets, row, said)
    assert await state(late, login) == "sent"
    await late.pool.execute("UPDATE deliveries SET due_at = now()")
    async with sweeping(late):
        await until(lambda: looked_at_again(late, login), 10, "a look without the key")
        assert await state(late, login) == "sent"
        write_ring(ring, kept)
        await until(lambda: has_keys(late, known), 10, "the key is back")
        await late.pool.execute("UPDATE deliveries SET due_at = now()")
        assert world.code(login, "email") in await world.message(login.email, seconds=25)
    assert await state(late, login) == "unknown"


async def has_state(house: House, login: Login, wanted: str) -> Any:
    return await state(house, login) == wanted or None


async def has_keys(house: House, wanted: list[int]) -> Any:
    return house.site[PARTS].keys()["contacts"] == wanted or None


async def looked_at_again(house: House, login: Login) -> Any:
    """A look leases the row: it is due again when the lease is over."""
    query = "SELECT true FROM deliveries WHERE login_id = $1 AND due_at > now() + interval '5 seconds'"
    return await house.pool.fetchval(query, login.login_id)


async def test_an_sms_that_failed_while_its_key_was_away_still_becomes_an_email(
    late: House, ahead: World, tmp_path: Path
):
    login = Login()
    await late.ingest.challenges([record(ahead.challenge(login, time=datetime.now(UTC) - LONG_AGO))])
    await late.pool.execute("UPDATE deliveries SET tries = 1, state = 'queued', due_at = now(), lease = NULL")
    async with sweeping(late):
        await looked_at(late, login, 2)
        shutil.copy(tmp_path / "contacts.json", tmp_path / "delivery")
        assert ahead.code(login, "email") in await ahead.message(login.email)
    assert (await state(late, login), await ahead.messages(login.phone)) == ("failed", [])
