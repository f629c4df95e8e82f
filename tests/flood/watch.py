"""How far a flood is: looked at from outside, so that it goes on while a process of the system is dead."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg
from aiokafka import TopicPartition

from deploy.local.stack import Stack
from schemas import topics
from services.platform.kafka import Connection, cluster_id, follower, stop

LOOK_SECONDS: Final = 0.25
OPENED: Final = "SELECT count(*) FROM logins WHERE account_id = $1 AND reference IS NOT NULL"
READ: Final = "SELECT coalesce(sum(next_offset), 0)::bigint FROM feed_offsets WHERE cluster_id = $1"
# Records that wait for a budget, and events that Kafka does not have yet.
WAITING: Final = """
SELECT (SELECT count(*) FROM feed_waiting WHERE account_id = $1) + (SELECT count(*) FROM outbox WHERE parked IS NULL)
"""
UNSENT: Final = "SELECT count(*) FROM deliveries WHERE account_id = $1 AND state IN ('queued', 'sending')"
KNOWN: Final = "SELECT count(*) FROM deliveries WHERE account_id = $1 AND cause = 'login'"
SESSIONS: Final = "SELECT count(*) FROM sessions WHERE account_id = $1"


class Watch:
    """`opened` logins of the account; records of the topic that were `read` since the first look, or are `behind`."""

    def __init__(self, account: UUID, cluster: str, databases: dict[str, Any], consumer: Any) -> None:
        self._account, self._cluster, self._databases, self._consumer = account, cluster, databases, consumer
        self.opened = self.read = self.behind = self.most_behind = 0
        self._first: int | None = None

    async def run(self) -> None:
        """Looks, again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        places = [TopicPartition(topics.LOGINS.name, n) for n in range(topics.LOGINS.partitions)]
        ends = sum((await self._consumer.end_offsets(places)).values())
        read = await self._databases["gateway"].fetchval(READ, self._cluster)
        self._first = read if self._first is None else self._first
        self.read, self.behind = read - self._first, ends - read
        self.most_behind = max(self.most_behind, self.behind)
        self.opened = await self.count("gateway", OPENED)

    async def count(self, service: str, query: str) -> int:
        return int(await self._databases[service].fetchval(query, self._account))

    async def until(self, holds: Callable[[], bool], what: str, end: float) -> None:
        """While it runs, until that moment of the monotonic clock. Raises `TimeoutError`."""
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: {self.opened} are open and {self.behind} records behind")
            await asyncio.sleep(0.02)

    async def until_all_is_told(self, coded: int, plain: int, end: float) -> None:
        """Until nothing waits any more: no record, no event, no code, no session. Raises `TimeoutError`."""
        while (left := await self._left(coded, plain)) is not None:
            if time.monotonic() > end:
                raise TimeoutError(left)
            await asyncio.sleep(LOOK_SECONDS)

    async def _left(self, coded: int, plain: int) -> str | None:
        await self.look()
        if self.behind or (waiting := await self.count("gateway", WAITING)):
            return f"{self.behind} records are behind" if self.behind else f"{waiting} events or records wait"
        known, unsent = await self.count("delivery", KNOWN), await self.count("delivery", UNSENT)
        if known < coded or unsent:
            return f"of {coded} messages {known} are known, {unsent} unsent"
        sessions = await self.count("session-store", SESSIONS)
        return f"{sessions} of {plain} sessions are there" if sessions < plain else None


@asynccontextmanager
async def watching(stack: Stack, account: UUID) -> AsyncIterator[Watch]:
    kafka = Connection(stack.kafka)
    consumer = follower(kafka, "flood-watch")
    databases = {name: await asyncpg.connect(stack.dsn(name)) for name in ("gateway", "delivery", "session-store")}
    try:
        await consumer.start()
        yield Watch(account, await cluster_id(kafka), databases, consumer)
    finally:
        await stop(consumer)
        for connection in databases.values():
            await connection.close()
