"""What grows too old goes, by one process at a time, and nobody who signs in meanwhile notices."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.environment import gatepost
from deploy.local.postgres import OWNER
from deploy.local.stack import Stack
from services.login_gateway.postgres.chores import chores
from services.platform.clock import SystemClock
from services.platform.housekeeping import SMALLEST, Chore, Done, Housekeeping
from services.platform.postgres import connect
from tests.integration.databases import own_database
from tests.integration.gateway_login.world import Heard, Place, eventually, opened

# A login_id begins with the millisecond it was made.
LOGINS = """
INSERT INTO logins (login_id, account_id, user_id, state, digits, salt, code_key_id, channels, auth_time, expires_at,
                    account_epoch, user_epoch)
SELECT
    (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000' || substr(md5(n::text), 17))::uuid,
       gen_random_uuid(), gen_random_uuid(), $3, 6, '', 1, '{}', at, at, 1, 1
FROM generate_series(1, $1::int) n, LATERAL (SELECT now() - $2 * interval '1 day' AS at) made
"""
COUNTERS = """
INSERT INTO counters (name, hits, expires_at)
SELECT decode(md5(n::text), 'hex'), ARRAY[now()], now() + $2::int * interval '1 hour' FROM generate_series(1, $1::int) n
"""
KEYS = """
INSERT INTO idempotency (user_id, key, body_mac, login_id, expires_at)
SELECT gen_random_uuid(), decode(md5(n::text), 'hex'), '', gen_random_uuid(), now() - interval '1 hour'
FROM generate_series(1, $1::int) n
"""
PARKED = """
INSERT INTO outbox (id, topic, key, value, parked, made_at)
SELECT gen_random_uuid(), 'login-challenges', '', '', 'MessageSizeTooLargeError', now() - $2::int * interval '1 day'
FROM generate_series(1, $1::int) n
"""

AUDIT = """
INSERT INTO audit (at, who, action, subject)
SELECT now() - $2::int * interval '1 day', 'test', 'test.done', 'x' FROM generate_series(1, $1::int) n
"""


@pytest_asyncio.fixture(loop_scope="session")
async def own(stack: Stack, place: Place) -> AsyncIterator[Place]:
    async with own_database(stack, "gateway") as dsn:
        yield replace(place, dsn=dsn)


@asynccontextmanager
async def keeping(place: Place, *more: Chore) -> AsyncIterator[tuple[Housekeeping, Any]]:
    pool = await connect(place.dsn, "gateway", 4)
    try:
        yield Housekeeping(pool, [*chores(place.gateway(), SystemClock()), *more]), pool
    finally:
        await pool.close()


async def count(pool: Any, table: str, which: str = "true") -> int:
    return int(await pool.fetchval(f"SELECT count(*) FROM {table} WHERE {which}"))  # noqa: S608


async def test_what_is_too_old_goes_and_all_else_stays(own: Place) -> None:
    async with keeping(own) as (house, pool):
        for many, days, state in ((20_000, 9, "verified"), (300, 9, "pending"), (700, 7, "closed")):
            await pool.execute(LOGINS, many, days, state)
        await pool.execute(COUNTERS, 5_000, -1)
        await pool.execute("INSERT INTO counters (name, expires_at) VALUES ('kept', now() + interval '1 hour')")
        await pool.execute(KEYS, 3_000)
        await pool.execute(PARKED, 30, 31)
        await pool.execute(PARKED, 20, 29)
        await house.look()
        assert await pool.fetch("SELECT state, count(*) FROM logins GROUP BY 1 ORDER BY 1") == [
            ("closed", 700),
            ("pending", 300),
        ]
        assert [await count(pool, table) for table in ("counters", "idempotency", "outbox")] == [1, 0, 20]
        done = dict(await pool.fetch("SELECT name, done FROM chores WHERE done > 0"))
        assert done == {"logins": 20_000, "counters": 5_000, "idempotency-keys": 3_000, "parked-events": 30}
        assert await count(pool, "chores", "due_at > now() AND ended_at IS NOT NULL") == 6


async def test_one_does_it_however_many_look(own: Place) -> None:
    async with keeping(own) as (house, pool), keeping(own) as (other, _), keeping(own) as (third, _):
        await pool.execute(COUNTERS, 4_000, -1)
        await pool.execute("INSERT INTO chores (name) VALUES ('counters')")
        done = await asyncio.gather(*(each.do("counters") for each in (house, other, third)))
        assert sorted(done) == [0, 0, 4_000]


async def test_who_dies_over_it_is_followed_by_another(own: Place) -> None:
    async with keeping(own) as (house, pool), keeping(own) as (other, _):
        await pool.execute(LOGINS, 3_000, 9, "closed")
        await pool.execute("INSERT INTO chores (name) VALUES ('logins')")
        work = asyncio.create_task(house.do("logins"))
        await eventually(lambda: count(pool, "chores", "done > 0"))
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        left = await count(pool, "logins")
        assert 0 < left < 3_000
        assert await other.do("logins") == 0  # it may live: its time is not over
        await pool.execute("UPDATE chores SET due_at = now()")
        assert await other.do("logins") == left


async def test_a_row_that_somebody_holds_is_passed_by(own: Place) -> None:
    async with keeping(own) as (house, pool):
        await pool.execute(LOGINS, 100, 9, "closed")
        await pool.execute("INSERT INTO chores (name) VALUES ('logins')")
        holder = await asyncpg.connect(own.dsn)
        try:
            async with holder.transaction():
                await holder.execute("SELECT FROM logins ORDER BY login_id LIMIT 1 FOR UPDATE")
                assert await asyncio.wait_for(house.do("logins"), 5) == 99
        finally:
            await holder.close()
        await pool.execute("UPDATE chores SET due_at = now()")
        assert await house.do("logins") == 1


async def test_what_takes_too_long_is_done_in_smaller_pieces(own: Place) -> None:
    sizes: list[int] = []

    async def slow(connection: Any, limit: int) -> Done:
        sizes.append(limit)
        await connection.execute("SELECT pg_sleep($1)", limit / 100)
        return Done(limit, more=False)

    async def never(connection: Any, limit: int) -> Done:
        await connection.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
        return Done(0, more=False)

    async with keeping(own, Chore("slow", 60, slow), Chore("never", 60, never)) as (house, pool):
        await pool.execute("INSERT INTO chores (name) VALUES ('slow'), ('never')")
        assert await house.do("slow") == 125
        assert sizes == [500, 125]
        holder = await asyncpg.connect(own.dsn)
        try:
            async with holder.transaction():
                await holder.execute("SELECT FROM accounts")
                assert await asyncio.wait_for(house.do("never"), 5) == 0
        finally:
            await holder.close()
    assert SMALLEST < 125


async def test_no_sign_in_fails_beside_it(own: Place, heard: Heard) -> None:
    """The gateway's own chores, while it is busy: old logins, and counters that are counted up at that moment."""
    busy = own.but(logins_per_hour=100_000, sends_per_hour=100_000, sends_per_day=100_000, keep_logins_days=8)
    over, statuses = asyncio.Event(), dict[int, int]()
    async with opened(busy, heard) as desk:
        people = [await desk.member() for _ in range(6)]
        await desk.pool.execute(LOGINS, 15_000, 9, "closed")
        await desk.pool.execute(COUNTERS, 15_000, -1)
        await desk.pool.execute("UPDATE counters SET expires_at = now() - interval '1 hour'")

        async def come(who: Any) -> None:
            while not over.is_set():
                answer = await desk.sign_in(who)
                statuses[answer.status] = statuses.get(answer.status, 0) + 1

        async def done() -> bool:
            old = await count(desk.pool, "counters", "expires_at < now() - interval '30 minutes'")
            return old == 0 and await count(desk.pool, "logins", "state = 'closed'") == 0

        async with asyncio.TaskGroup() as group:
            for who in people:
                group.create_task(come(who))
            await desk.pool.execute("UPDATE chores SET due_at = now()")
            await eventually(done, seconds=60)
            over.set()
    assert set(statuses) == {202}
    assert statuses[202] >= 6


async def test_the_audit_is_cut_off_by_its_owner_only(stack: Stack, own: Place) -> None:
    dsn = stack.postgres.dsn(urlsplit(own.dsn).path.removeprefix("/"), OWNER)
    connection, service = await asyncpg.connect(dsn), await asyncpg.connect(own.dsn)
    try:
        await connection.execute(AUDIT, 2_500, 100)
        await connection.execute(AUDIT, 10, 80)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute("DELETE FROM audit")
        command = gatepost("audit", "purge", "--older-than", "90", "--yes")
        environment = os.environ | {"GATEPOST_DATABASE": dsn}
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
        assert (process.returncode, said.decode()) == (0, "2500 lines deleted\n")
        assert await count(connection, "audit") == 10
    finally:
        await connection.close()
        await service.close()
