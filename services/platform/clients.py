"""The clients that delivery and session store may check: the `clients` topic, kept in a table of their own."""

from __future__ import annotations

import asyncio
import base64
from typing import Any, Final

import asyncpg
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from cachetools import TTLCache

from schemas import codec, topics
from schemas.events import ClientChanged
from services.platform import metrics
from services.platform.auth import Client, same_secret
from services.platform.dead_letters import DeadLetters
from services.platform.kafka import Connection, follower, stop
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.postgres import until_it_works

log = structlog.get_logger()

UPSERT: Final = """
INSERT INTO clients (client_id, secret_hash, account, scopes, enabled, revision) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (client_id) DO UPDATE SET secret_hash = excluded.secret_hash, account = excluded.account,
    scopes = excluded.scopes, enabled = excluded.enabled, revision = excluded.revision
WHERE clients.revision < excluded.revision
"""
LOOK_UP: Final = "SELECT client_id, account, scopes, secret_hash FROM clients WHERE client_id = $1 AND enabled"
CACHE_SECONDS: Final = 1.0


class ClientDirectory:
    """Checks credentials against the table, and remembers a row for a second."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._rows: TTLCache[str, asyncpg.Record] = TTLCache(1024, CACHE_SECONDS)

    async def check(self, client_id: str, secret: str) -> Client | None:
        row = self._rows.get(client_id) or await self._look_up(client_id)
        stored = row["secret_hash"] if row is not None else bytes(32)
        if not same_secret(secret, stored) or row is None:
            return None
        return Client(row["client_id"], row["account"], frozenset(row["scopes"]))

    async def _look_up(self, client_id: str) -> asyncpg.Record | None:
        row = await self._pool.fetchrow(LOOK_UP, client_id) if "\x00" not in client_id else None
        if row is not None:
            self._rows[client_id] = row
        return row

    async def apply(self, event: ClientChanged) -> None:
        """A later revision replaces an earlier one; anything else is a repetition."""
        hashed = base64.urlsafe_b64decode(event.secret_hash)
        values = (event.client_id, hashed, event.account, list(event.scopes), event.enabled, event.revision)
        await until_it_works(lambda: self._pool.execute(UPSERT, *values), "client_change_waits")
        self._rows.pop(event.client_id, None)


async def follow(
    directory: ClientDirectory, connection: Connection, verifier: Verifier, dead_letters: DeadLetters, name: str
) -> None:
    """Read the topic from its start, for ever; a broker that is away is asked again every second."""
    while True:
        consumer = follower(connection, f"{name}-clients", auto_offset_reset="earliest")
        try:
            await consumer.start()
            await _read_all(consumer, directory, verifier, dead_letters)
        except (KafkaError, OSError) as away:
            log.warning("clients_topic_away", error=type(away).__name__)
        finally:
            await stop(consumer)
        await asyncio.sleep(1.0)


async def _read_all(consumer: Any, directory: ClientDirectory, verifier: Verifier, dead_letters: DeadLetters) -> None:
    partition = TopicPartition(topics.CLIENTS.name, 0)
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    async for record in consumer:
        try:
            event = checked(record, verifier)
        except (BadSignature, codec.BadEvent) as bad:
            metrics.FORGED.labels("client-event").inc()
            await dead_letters.send(record, "bad-signature" if isinstance(bad, BadSignature) else bad.reason)
            continue
        await directory.apply(event)


def checked(record: Any, verifier: Verifier) -> ClientChanged:
    """The event, if the gateway signed it under its own key; raises `BadSignature` or `BadEvent`."""
    verifier.verify_record(record)
    event = codec.decode_for(record.topic, record.value)
    if not isinstance(event, ClientChanged) or record.key != event.client_id.encode():
        raise codec.BadEvent("wrong-topic")
    return event
