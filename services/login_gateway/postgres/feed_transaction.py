"""Fed logins as one transaction that waits for nobody who signs in: what it tells goes out after its commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import asyncpg

from services.login_gateway.house import House
from services.login_gateway.ports import Contended, NotStorable
from services.login_gateway.postgres.counters import PostgresCounters
from services.login_gateway.postgres.feeds import PostgresFeeds
from services.login_gateway.postgres.logins import PostgresLogins
from services.login_gateway.postgres.sign_in import PostgresUsers
from services.platform.outbox import OutboxRow

# No login waits longer for a row that somebody holds.
YIELD: Final = "SET LOCAL lock_timeout = 100"
AT_ONCE: Final = 10


class Held:
    """An outbox whose transaction is not over."""

    def __init__(self) -> None:
        self.rows: list[OutboxRow] = []

    def publish_soon(self, rows: Iterable[OutboxRow]) -> Sequence[Awaitable[bool]]:
        self.rows += rows
        return ()


@asynccontextmanager
async def yielding(pool: asyncpg.Pool[asyncpg.Record], house: House) -> AsyncIterator[tuple[Any, House, Held]]:
    """The connection, and the house bound to it. Raises `Contended` or `NotStorable`, and then nothing was done."""
    held = Held()
    try:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(YIELD)
            yield connection, _bound(house, connection, held), held
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        raise Contended from None
    except asyncpg.DataError:
        raise NotStorable from None


async def published(house: House, held: Held) -> None:
    """What stands already, a few at a time."""
    for start in range(0, len(held.rows), AT_ONCE):
        house.outbox.publish_soon(held.rows[start : start + AT_ONCE])
        await asyncio.sleep(0)


def _bound(house: House, connection: Any, held: Held) -> House:
    return replace(
        house,
        users=PostgresUsers(connection),
        counters=PostgresCounters(connection),
        logins=PostgresLogins(connection),
        feeds=PostgresFeeds(connection),
        outbox=held,
    )
