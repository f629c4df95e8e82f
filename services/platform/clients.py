"""The clients that delivery and session store may check: the `clients` topic, kept in a table of their own."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator, MutableMapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import asyncpg
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from cachetools import LRUCache, TTLCache

from schemas import codec, topics
from schemas.events import ClientChanged
from services.platform import metrics
from services.platform.auth import Client, same_secret
from services.platform.dead_letters import DeadLetters
from services.platform.kafka import Connection, follower, stop
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.postgres import AWAY, until_it_works

log = structlog.get_logger()

UPSERT: Final = """
INSERT INTO clients (client_id, secret_hash, account, scopes, enabled, revision) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (client_id) DO UPDATE SET secret_hash = excluded.secret_hash, account = excluded.account,
    scopes = excluded.scopes, enabled = excluded.enabled, revision = excluded.revision
WHERE clients.revision < excluded.revision
"""
LOOK_UP: Final = "SELECT client_id, secret_hash, account, scopes, enabled, revision FROM clients WHERE client_id = $1"
CACHE_SECONDS: Final = 1.0
LOOK_UP_SECONDS: Final = 2.0
TOLD: Final = 10_000
ASK_AGAIN_MS: Final = 5_000
"""A change is answered at once; how long the broker waits for one before it says that there is none."""


class Row(NamedTuple):
    """A client as the table has it."""

    client_id: str
    secret_hash: bytes
    account: str
    scopes: Sequence[str]
    enabled: bool
    revision: int

    @classmethod
    def of_event(cls, event: ClientChanged) -> Row:
        hashed = base64.urlsafe_b64decode(event.secret_hash)
        return cls(event.client_id, hashed, event.account, list(event.scopes), event.enabled, event.revision)


class ClientDirectory:
    """Checks credentials against the table, and remembers a row for a second.

    While Postgres is away it goes by the last row that it saw, or by what the topic has said since.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._rows: TTLCache[str, Row] = TTLCache(1024, CACHE_SECONDS)
        self._known: dict[str, Row] = {}
        self._changes: Counter[str] = Counter()
        self._unwritten: dict[str, Row] = {}
        self._some_unwritten = asyncio.Event()

    async def check(self, client_id: str, secret: str) -> Client | None:
        row = self._rows.get(client_id) or await self._look_up(client_id)
        stored = row.secret_hash if row is not None else bytes(32)
        if not same_secret(secret, stored) or row is None or not row.enabled:
            return None
        return Client(row.client_id, row.account, frozenset(row.scopes))

    def forget(self, client_id: str) -> None:
        """It was changed: the next check asks the table."""
        self._changes[client_id] += 1
        self._rows.pop(client_id, None)

    async def apply(self, event: ClientChanged) -> None:
        """A later revision replaces an earlier one, at once; the table follows when it can (`write`)."""
        row = Row.of_event(event)
        known = self._known.get(row.client_id)
        if known is not None and known.revision < row.revision:
            self._known[row.client_id] = row
            self.forget(row.client_id)
        waiting = self._unwritten.get(row.client_id, row)
        self._unwritten[row.client_id] = max(waiting, row, key=lambda each: each.revision)
        self._some_unwritten.set()

    async def write(self) -> None:
        """What the topic said, into the table, for ever: a database that is away holds up no later record."""
        while True:
            await self._some_unwritten.wait()
            self._some_unwritten.clear()
            for row in list(self._unwritten.values()):
                await until_it_works(partial(self._store, row), "client_change_waits")
                if self._unwritten.get(row.client_id) is row:
                    del self._unwritten[row.client_id]

    async def _store(self, row: Row) -> None:
        await self._pool.execute(UPSERT, *row)
        self.forget(row.client_id)
        await self._look_up(row.client_id)

    async def _look_up(self, client_id: str) -> Row | None:
        before, row = self._changes[client_id], await self._read(client_id)
        if row is None:
            return None
        known = self._known.get(client_id, row)  # the topic may be ahead of a table that was away
        row = known if known.revision > row.revision else row
        if before == self._changes[client_id]:  # what was read before a change is not remembered after it
            self._rows[client_id] = self._known[client_id] = row
        return row

    async def _read(self, client_id: str) -> Row | None:
        if "\x00" in client_id:
            return None
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                row = await self._pool.fetchrow(LOOK_UP, client_id)
        except AWAY:
            if client_id not in self._known:
                raise
            return self._known[client_id]
        return Row(*row) if row is not None else None


async def follow(
    directory: ClientDirectory, connection: Connection, verifier: Verifier, dead_letters: DeadLetters, name: str
) -> None:
    """Read the topic from its start, for ever; a broker that is away is asked again every second."""
    async with asyncio.TaskGroup() as group:
        group.create_task(directory.write())
        group.create_task(_read_for_ever(directory, connection, verifier, dead_letters, name))


async def _read_for_ever(
    directory: ClientDirectory, connection: Connection, verifier: Verifier, dead_letters: DeadLetters, name: str
) -> None:
    told: LRUCache[tuple[int, int], bool] = LRUCache(TOLD)
    while True:
        more = {"auto_offset_reset": "earliest", "fetch_max_wait_ms": ASK_AGAIN_MS}
        consumer = follower(connection, f"{name}-clients", **more)
        try:
            await consumer.start()
            async for record in _from_the_start(consumer):
                await _take(record, directory, verifier, dead_letters, told)
        except (KafkaError, OSError) as away:
            log.warning("clients_topic_away", error=type(away).__name__)
        finally:
            await stop(consumer)
        await asyncio.sleep(1.0)


async def _from_the_start(consumer: Any) -> AsyncIterator[Any]:
    partition = TopicPartition(topics.CLIENTS.name, 0)
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    async for record in consumer:
        yield record


async def _take(
    record: Any,
    directory: ClientDirectory,
    verifier: Verifier,
    dead_letters: DeadLetters,
    told: MutableMapping[tuple[int, int], bool],
) -> None:
    """One record; `told`: the bad ones that are dead letters already, by offset and time."""
    try:
        event = checked(record, verifier)
    except (BadSignature, codec.BadEvent) as bad:
        if (record.offset, record.timestamp) not in told:
            metrics.FORGED.labels("client-event").inc()
            await dead_letters.send(record, "bad-signature" if isinstance(bad, BadSignature) else bad.reason)
            told[record.offset, record.timestamp] = True
        return
    await directory.apply(event)


def checked(record: Any, verifier: Verifier) -> ClientChanged:
    """The event, if the gateway signed it under its own key; raises `BadSignature` or `BadEvent`."""
    verifier.verify_record(record)
    event = codec.decode_for(record.topic, record.value)
    if not isinstance(event, ClientChanged) or record.key != event.client_id.encode():
        raise codec.BadEvent("wrong-topic")
    return event
