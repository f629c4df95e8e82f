"""Chores that come round: what is too old goes, some rows at a time, by one process, whichever it is.

A batch is one short transaction. It passes by what others have locked, and gives up rather than hold them up; after it
the database is for those who sign in, for four times as long as the batch took.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import asyncpg
import structlog

from services.platform import metrics
from services.platform.postgres import AWAY

log = structlog.get_logger()

LOOK_SECONDS: Final = 5.0
LEASE_SECONDS: Final = 30.0
BATCH: Final = 500
SMALLEST: Final = 20
REST: Final = 4.0
LONGEST_REST: Final = 2.0
MINUTE: Final = 60.0
HOUR: Final = 3600.0

KNOW: Final = "INSERT INTO chores (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
DUE: Final = "SELECT name FROM chores WHERE due_at <= now()"
TAKE: Final = """
UPDATE chores SET due_at = now() + make_interval(secs => $2) WHERE name = $1 AND due_at <= now() RETURNING true
"""
MOVE: Final = "UPDATE chores SET due_at = now() + make_interval(secs => $2), done = done + $3 WHERE name = $1"
END: Final = "UPDATE chores SET due_at = now() + make_interval(secs => $2), ended_at = now() WHERE name = $1"
# Nobody waits for us: what we lock for long, or cannot lock soon, we leave. What a crash takes back is done again.
CAREFUL: Final = (
    "SET LOCAL statement_timeout = '3s'; SET LOCAL lock_timeout = '200ms'; SET LOCAL synchronous_commit = off"
)
TOO_MUCH: Final = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
PARKED: Final = """
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE parked IS NOT NULL AND made_at < now() - make_interval(days => $1)
    ORDER BY made_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


class Done(NamedTuple):
    """How many rows went, and whether there may be more."""

    rows: int
    more: bool


Step = Callable[[Any, int], Awaitable[Done]]
"""One batch of at most so many rows, on a connection, in its transaction."""


class Chore(NamedTuple):
    name: str
    every_seconds: float
    step: Step


def rows(name: str, every_seconds: float, statement: str, *values: Any) -> Chore:
    """`statement` deletes at most as many rows as its last parameter says."""

    async def step(connection: Any, limit: int) -> Done:
        return done_by(await connection.execute(statement, *values, limit), limit)

    return Chore(name, every_seconds, step)


def parked(days: int) -> Chore:
    """Events that Kafka refuses for themselves: somebody was to look at them."""
    return rows("parked-events", HOUR, PARKED, days)


def done_by(tag: str, limit: int) -> Done:
    """From Postgres' answer to a statement, like `DELETE 500`."""
    count = int(tag.rpartition(" ")[2])
    return Done(count, count == limit)


class Housekeeping:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], chores: Sequence[Chore]) -> None:
        self._pool = pool
        self._chores = {chore.name: chore for chore in chores}
        self._known = False

    async def run(self) -> None:
        """For ever; a database that is away is asked again."""
        while True:
            try:
                await self.look()
            except (*AWAY, asyncpg.PostgresError) as away:
                log.warning("chores_wait", error=type(away).__name__)
            await asyncio.sleep(LOOK_SECONDS * random.uniform(0.75, 1.25))  # noqa: S311 - no secret

    async def look(self) -> None:
        """Do what is due and nobody else does."""
        if not self._known:
            await self._pool.execute(KNOW, list(self._chores))
            self._known = True
        due = {row["name"] for row in await self._pool.fetch(DUE)}
        for name in self._chores.keys() & due:
            try:
                await self.do(name)
            except asyncpg.PostgresError as error:  # tables older than this code, mostly: nobody's sign-in fails by it
                log.error("chore_failed", chore=name, exc_info=error)

    async def do(self, name: str) -> int:
        """Gives how many rows were done: none where it is not due, or somebody else does it."""
        if not await self._pool.fetchval(TAKE, name, LEASE_SECONDS):
            return 0
        chore, total, limit = self._chores[name], 0, BATCH
        while True:
            began = time.monotonic()
            try:
                done = await self.batch(chore, limit)
            except TOO_MUCH:
                if limit == SMALLEST:
                    log.warning("chore_given_up", chore=name, done=total)
                    break
                limit = max(SMALLEST, limit // 4)
                continue
            total += done.rows
            if not done.more:
                break
            await asyncio.sleep(min(LONGEST_REST, REST * (time.monotonic() - began)))
        await self._pool.execute(END, name, chore.every_seconds)
        if total:
            log.info("chore_done", chore=name, count=total)
        return total

    async def batch(self, chore: Chore, limit: int) -> Done:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(CAREFUL)
            done = await chore.step(connection, limit)
            await connection.execute(MOVE, chore.name, LEASE_SECONDS, done.rows)
        metrics.PURGED.labels(chore.name).inc(done.rows)
        return done
