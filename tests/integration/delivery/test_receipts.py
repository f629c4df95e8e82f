"""Receipts lease nothing: whoever changes the row between their look at it and their write, nothing is lost by it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest_asyncio

from deploy.local.stack import Stack
from services.delivery import outcomes, receipts
from services.delivery.house import House
from services.delivery.ports import Consequences, Job, LoginNow, Result
from services.delivery.routes.parts import PARTS
from services.delivery.states import State
from tests.integration.delivery.house import own_house, record
from tests.integration.delivery.world import Login, World, until

DELIVERED = Result(state=State.DELIVERED, provider="twilio")
GIVEN_UP = Result(state=State.UNKNOWN, reason="no-receipt")


@pytest_asyncio.fixture
async def house(stack: Stack, world: World) -> AsyncIterator[House]:
    """Nobody sweeps it but the test."""
    async with own_house(stack) as made:
        yield made
    await world.faults()


@dataclass
class Interrupted:
    """The ledger, with something that happens right after each of the first looks at a row."""

    house: House
    happens: list[Any]
    looks: list[Job] = field(default_factory=list)

    async def receivable(self, delivery_id: UUID) -> Job | None:
        found = await self.house.site[PARTS].ledger.receivable(delivery_id)
        if found is not None:
            self.looks.append(found)
        if self.happens:
            await self.happens.pop(0)()
        return found

    async def login_now(self, job: Job) -> LoginNow:
        return await self.house.site[PARTS].ledger.login_now(job)

    async def try_settle(self, job: Job, result: Result, then: Consequences) -> bool:
        return await self.house.site[PARTS].ledger.try_settle(job, result, then)


async def sent(house: House, world: World) -> UUID:
    """A message that the provider took and says nothing more about."""
    login = Login()
    await world.faults(sms={str(login.phone): {"mode": "no_receipt"}})
    await house.ingest.challenges([record(world.challenge(login))])
    row: UUID = await house.pool.fetchval("SELECT id FROM deliveries WHERE login_id = $1", login.login_id)
    await until(lambda: has_state(house, row, "sent"), 15, "sent")
    return row


async def has_state(house: House, row: UUID, wanted: str) -> Any:
    return await house.pool.fetchval("SELECT state FROM deliveries WHERE id = $1", row) == wanted or None


async def steps(house: House, row: UUID) -> list[str]:
    found = await house.pool.fetch("SELECT what FROM delivery_log WHERE delivery_id = $1 ORDER BY id", row)
    return [step["what"] for step in found]


async def receive(house: House, row: UUID, *happens: Any, result: Result = DELIVERED) -> tuple[bool, Interrupted]:
    ledger = Interrupted(house, list(happens))
    return await receipts.receive(ledger, house.site[PARTS].secrets, row, result), ledger


async def looked_at(house: House, row: UUID) -> Job:
    """The sweeper's look: the row is due and gets a lease."""
    await house.pool.execute("UPDATE deliveries SET due_at = now() WHERE id = $1", row)
    (job,) = await house.site[PARTS].ledger.overdue(1)
    return job


async def given_up(house: House, job: Job) -> bool:
    then = outcomes.without_email(job, GIVEN_UP, job.now)
    return await house.site[PARTS].ledger.settle(job, GIVEN_UP, then)


async def test_a_receipt_that_loses_its_row_to_the_sweepers_look_looks_again_and_wins(house: House, world: World):
    row, swept = await sent(house, world), list[Job]()

    async def sweep() -> None:
        swept.append(await looked_at(house, row))

    changed, ledger = await receive(house, row, sweep)
    assert (changed, len(ledger.looks)) == (True, 2)
    assert ledger.looks[1].lease == swept[0].lease
    assert not await given_up(house, swept[0])
    assert await steps(house, row) == ["queued", "sent", "delivered", "late_result"]
    assert await has_state(house, row, "delivered")


async def test_a_receipt_after_the_sweeper_gave_the_row_up_changes_nothing(house: House, world: World):
    row = await sent(house, world)

    async def sweep() -> None:
        assert await given_up(house, await looked_at(house, row))

    changed, _ = await receive(house, row, sweep)
    assert not changed
    assert await steps(house, row) == ["queued", "sent", "unknown"]


async def test_of_two_receipts_at_the_same_moment_one_counts(house: House, world: World):
    row = await sent(house, world)
    both = asyncio.Barrier(2)
    answers = await asyncio.gather(receive(house, row, both.wait), receive(house, row, both.wait))
    assert sorted(changed for changed, _ in answers) == [False, True]
    assert await steps(house, row) == ["queued", "sent", "delivered"]


async def test_a_receipt_that_overtakes_the_providers_answer_waits_for_it(house: House, world: World):
    row = await sent(house, world)
    await house.pool.execute("UPDATE deliveries SET state = 'sending', lease = gen_random_uuid() WHERE id = $1", row)

    async def answer() -> None:
        await house.pool.execute("UPDATE deliveries SET state = 'sent', lease = NULL WHERE id = $1", row)

    changed, ledger = await receive(house, row, answer)
    assert [look.state for look in ledger.looks] == ["sending", "sent"]
    assert changed
    assert await steps(house, row) == ["queued", "sent", "delivered"]


async def test_a_receipt_whose_row_changes_at_every_look_is_given_up_and_leaves_the_row_alone(
    house: House, world: World
):
    row = await sent(house, world)

    async def sweep() -> None:
        await looked_at(house, row)

    changed, ledger = await receive(house, row, *[sweep] * receipts.TRIES)
    assert (changed, len(ledger.looks)) == (False, receipts.TRIES)
    assert await steps(house, row) == ["queued", "sent"]
    assert await has_state(house, row, "sent")
