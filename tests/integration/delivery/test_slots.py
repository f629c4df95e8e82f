"""Slots, leases and the sweeper, with a provider that keeps its callers waiting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from services.delivery import send
from services.delivery.channels.twilio import Twilio
from services.delivery.house import House
from services.delivery.provider import Message
from tests.integration.delivery.house import own_house, record, sweeping
from tests.integration.delivery.world import Login, World, until

SLOTS = 4
BEFORE_THE_LEASE_IS_OVER = 6.0


@pytest_asyncio.fixture
async def house(stack: Stack, world: World) -> AsyncIterator[House]:
    """With few slots; whatever the test told the provider to do is over afterwards."""
    async with own_house(stack, slots=SLOTS) as made:
        await made.controls.change_provider("twilio", {"slots": SLOTS}, "test")
        await made.refresh()
        yield made
    await world.faults()


@pytest.fixture
def under_way(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many calls were under way whenever one began."""
    real, now, seen = Twilio.send, [0], list[int]()

    async def send(self: Twilio, message: Message, timeout: float) -> str:
        now[0] += 1
        seen.append(now[0])
        try:
            return await real(self, message, timeout)
        finally:
            now[0] -= 1

    monkeypatch.setattr(Twilio, "send", send)
    return seen


async def put(house: House, world: World, *logins: Login) -> None:
    """Each in a batch of its own, all at once, as several agents would."""
    await asyncio.gather(*(house.ingest.challenges([record(world.challenge(one))]) for one in logins))


async def states(house: House) -> list[str]:
    return [row["state"] for row in await house.pool.fetch("SELECT state FROM deliveries")]


async def test_there_are_never_more_calls_than_slots_however_many_claim_at_once(
    house: House, world: World, under_way: list[int]
):
    logins = [Login(email=None) for _ in range(20)]
    await world.faults(sms={str(one.phone): {"mode": "slow_drip", "seconds": 0.3} for one in logins})

    async def all_went() -> Any:
        return set(await states(house)) <= {"sent", "delivered"} or None

    async with sweeping(house):
        await put(house, world, *logins)
        await until(all_went, 30, "twenty that went out")
    assert max(under_way) == SLOTS


async def test_what_waits_for_a_channel_that_is_full_is_taken_as_its_calls_end_not_at_the_next_look(
    house: House, world: World, monkeypatch: pytest.MonkeyPatch
):
    """There are more slots than the provider has room, so no claim fills them all."""
    monkeypatch.setattr(send, "IDLE_SECONDS", 3600.0)
    await house.controls.change_provider("twilio", {"slots": 2}, "test")
    await house.refresh()
    logins = [Login(email=None) for _ in range(12)]

    async def all_went() -> Any:
        return set(await states(house)) <= {"sent", "delivered"} or None

    async with sweeping(house):
        await house.ingest.challenges([record(world.challenge(one)) for one in logins])
        await until(all_went, 30, "twelve that went out")
    assert await house.pool.fetchval("SELECT count(*) FROM delivery_log WHERE reason = 'providers-busy'") == 0


async def backlog(house: House, world: World, *more: Login) -> None:
    """Every slot hangs on its provider for four seconds, and as many rows again wait for one."""
    logins = [Login(email=None) for _ in range(2 * SLOTS)]
    await world.faults(sms={str(one.phone): {"mode": "hang"} for one in (*logins, *more)})
    await put(house, world, *logins)


async def test_a_row_whose_worker_was_lost_is_seen_while_every_slot_is_busy_and_rows_wait(house: House, world: World):
    lost = Login(phone=None)
    await house.ingest.challenges([record(world.challenge(lost, channel="email"))])
    await until(lambda: reached(house, lost, "sent"), 15, "sent")
    await house.pool.execute("UPDATE deliveries SET state = 'sending', lease = gen_random_uuid(), due_at = now()")
    await backlog(house, world)
    async with sweeping(house):
        await until(lambda: seen_as_lost(house, lost), 3, "the lost row was looked at")
        assert (await states(house)).count("queued") >= SLOTS
        assert house.sender.free == 0


async def reached(house: House, login: Login, state: str) -> Any:
    query = "SELECT state FROM deliveries WHERE login_id = $1"
    return await house.pool.fetchval(query, login.login_id) == state or None


async def seen_as_lost(house: House, login: Login) -> Any:
    query = "SELECT true FROM delivery_log WHERE login_id = $1 AND reason = 'worker-lost'"
    return await house.pool.fetchval(query, login.login_id)


async def test_the_sweeper_counts_as_running_while_every_slot_is_busy(house: House, world: World):
    await backlog(house, world)
    async with sweeping(house):
        await until(lambda: busy(house), 3, "every slot is busy")
        first = house.sender.last_sweep

        async def again() -> Any:
            assert house.sender.free == 0
            return house.sender.last_sweep != first or None

        await until(again, 2.5, "a sweep while every slot is busy")


async def busy(house: House) -> Any:
    return house.sender.free == 0 or None


@asynccontextmanager
async def claims_blocked(house: House) -> AsyncIterator[None]:
    """Statements that claim begin, and wait: their answer comes late."""
    async with house.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("LOCK TABLE floors IN ACCESS EXCLUSIVE MODE")
        try:
            yield
        finally:
            await transaction.rollback()


async def test_a_call_whose_claim_was_answered_late_still_ends_within_its_lease(
    house: House, world: World, stack: Stack
):
    login = Login()
    await world.faults(sms={str(login.phone): {"mode": "hang"}})
    async with claims_blocked(house):
        task = asyncio.create_task(put(house, world, login))
        age = await until(lambda: claim_waits(house, stack), BEFORE_THE_LEASE_IS_OVER + 5, "a claim that waits")
    await task
    await until(lambda: reached_unknown(house, login), 10, "the end of the call")
    what = await house.pool.fetchrow("SELECT ms, what FROM delivery_log WHERE provider = 'twilio'")
    assert what is not None
    assert what["what"] == "unknown"
    assert age + what["ms"] / 1000 < 9.5


async def claim_waits(house: House, stack: Stack) -> Any:
    """The claim's age in seconds, once there is little left of its lease."""
    connection = await asyncpg.connect(stack.postgres.dsn("postgres", "postgres"))
    try:
        age = await connection.fetchval(
            "SELECT extract(epoch FROM clock_timestamp() - query_start)::float FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname LIKE 'own_%' AND query LIKE '%UPDATE deliveries d%'"
        )
    finally:
        await connection.close()
    return age if age is not None and age > BEFORE_THE_LEASE_IS_OVER else None


async def reached_unknown(house: House, login: Login) -> Any:
    query = "SELECT count(*) FROM delivery_log WHERE login_id = $1 AND provider = 'twilio'"
    return await house.pool.fetchval(query, login.login_id) or None
