"""Results that are ready together are one statement; what becomes of one is nothing to the others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest_asyncio

from deploy.local.stack import Stack
from services.delivery import outcomes
from services.delivery.house import House
from services.delivery.pauses import Pause
from services.delivery.ports import Consequences, EmailRow, Job, Result
from services.delivery.postgres.ledger import PostgresLedger
from services.delivery.routes.parts import PARTS
from services.delivery.states import State
from services.platform.clock import new_id
from tests.integration.delivery.house import own_house, record
from tests.integration.delivery.world import Login, World

SENT = Result(state=State.SENT, provider="twilio", ref="SM1", ms=7)
FAILED = Result(state=State.FAILED, provider="twilio", reason="invalid-number")
DELIVERED = Result(state=State.DELIVERED, provider="twilio")


@pytest_asyncio.fixture
async def house(stack: Stack, world: World) -> AsyncIterator[House]:
    """Nobody sweeps it, and it calls nobody: its rows wait to be claimed by the test."""
    async with own_house(stack) as made:
        await made.controls.pause(Pause(), "test")
        yield made


async def claimed(house: House, world: World, count: int) -> list[Job]:
    challenges = [record(world.challenge(Login())) for _ in range(count)]
    await house.ingest.challenges(challenges)
    await house.controls.resume(Pause(), "test")
    jobs = await ledger(house).claim(count, {"sms": count, "email": count})
    assert len(jobs) == count
    return jobs


def ledger(house: House) -> PostgresLedger:
    found: PostgresLedger = house.site[PARTS].ledger
    return found


async def settle(house: House, *found: tuple[Job, Result]) -> list[bool | BaseException]:
    """All at the same moment."""

    async def one(job: Job, result: Result) -> bool:
        return await ledger(house).settle(job, result, outcomes.without_email(job, result, job.now))

    return await asyncio.gather(*(one(job, result) for job, result in found), return_exceptions=True)


async def states(house: House, jobs: list[Job]) -> list[tuple[str, str | None, UUID | None]]:
    query = "SELECT state, reason, lease FROM deliveries WHERE id = $1"
    rows = [await house.pool.fetchrow(query, job.id) for job in jobs]
    return [tuple(row) for row in rows if row is not None]


async def steps(house: House, job: Job) -> list[str]:
    """Without the end of the pause that all of them waited for."""
    query = "SELECT what FROM delivery_log WHERE delivery_id = $1 AND what <> 'released' ORDER BY id"
    rows = await house.pool.fetch(query, job.id)
    return [row["what"] for row in rows]


async def statements(house: House) -> int:
    """Transactions that changed rows: every one of a group has the same."""
    return int(await house.pool.fetchval("SELECT count(DISTINCT xmin::text) FROM deliveries"))


async def test_results_of_one_moment_are_one_statement_and_each_has_its_own_end(house: House, world: World):
    jobs = await claimed(house, world, 4)
    untried = Result(state=State.QUEUED, reason="lease-too-short", pause=0.0, untried=True)
    doubt = Result(state=State.QUEUED, reason="provider-silent", pause=30.0, doubtful=True)
    assert await settle(house, *zip(jobs, (SENT, FAILED, untried, doubt), strict=True)) == [True] * 4
    assert await statements(house) == 1
    assert [(state, reason) for state, reason, _ in await states(house, jobs)] == [
        ("sent", None),
        ("failed", "invalid-number"),
        ("queued", "lease-too-short"),
        ("queued", "provider-silent"),
    ]
    rows = [await house.pool.fetchrow("SELECT * FROM deliveries WHERE id = $1", job.id) for job in jobs]
    assert [(r["tries"], r["doubtful"], r["lease"]) for r in rows if r] == [
        (1, 0, None),
        (1, 0, None),
        (0, 0, None),
        (1, 1, None),
    ]
    assert [r["due_at"] is None for r in rows if r] == [True, True, False, False]
    assert [r["provider_ref"] for r in rows if r] == ["SM1", None, None, None]
    assert [(await steps(house, job))[1:] for job in jobs] == [["sent"], ["failed"], ["queued"], ["doubted"]]


async def test_a_row_whose_lease_is_gone_is_late_and_the_others_are_written(house: House, world: World):
    first, gone, last = jobs = await claimed(house, world, 3)
    lease = await house.pool.fetchval(
        "UPDATE deliveries SET lease = gen_random_uuid() WHERE id = $1 RETURNING lease", gone.id
    )
    assert await settle(house, (first, SENT), (gone, SENT), (last, FAILED)) == [True, False, True]
    assert await states(house, jobs) == [
        ("sent", None, None),
        ("sending", None, lease),
        ("failed", "invalid-number", None),
    ]
    assert await steps(house, gone) == ["queued", "late_result"]


async def test_a_value_that_postgres_refuses_takes_no_other_down(house: House, world: World):
    first, bad, last = jobs = await claimed(house, world, 3)
    done = await settle(house, (first, SENT), (bad, replace(SENT, ref="SM\x00")), (last, SENT))
    assert (done[0], done[2]) == (True, True)
    assert isinstance(done[1], asyncpg.DataError)
    assert [state for state, _, _ in await states(house, jobs)] == ["sent", "sending", "sent"]
    assert await steps(house, bad) == ["queued"]


async def test_of_two_results_for_one_row_at_the_same_moment_one_holds(house: House, world: World):
    (job,) = await claimed(house, world, 1)
    assert await settle(house, (job, SENT)) == [True]
    read = await ledger(house).receivable(job.id)
    assert read is not None
    then = outcomes.without_email(read, DELIVERED, read.now)
    both = await asyncio.gather(*(ledger(house).try_settle(read, DELIVERED, then) for _ in range(3)))
    assert sorted(both) == [False, False, True]
    assert await steps(house, job) == ["queued", "sent", "delivered"]


async def test_an_email_is_written_with_the_result_that_makes_it_due_or_not_at_all(house: House, world: World):
    held, gone = await claimed(house, world, 2)
    await house.pool.execute("UPDATE deliveries SET lease = gen_random_uuid() WHERE id = $1", gone.id)
    for job, wanted in ((held, True), (gone, False)):
        email = EmailRow(id=new_id(), cause="fallback:login", sealed="s", masked="m", recipient=None, email_off=False)
        then = Consequences(outcomes.without_email(job, FAILED, job.now).events, email)
        assert await ledger(house).settle(job, FAILED, then) is wanted
        made = await house.pool.fetchval("SELECT state FROM deliveries WHERE id = $1", email.id)
        assert made == ("queued" if wanted else None)
