"""The writer: one group; each batch in one transaction whose first statement moves the stored offset."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import asyncpg
import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from schemas import codec, topics
from services.platform import failpoints, metrics
from services.platform.dead_letters import DeadLetters
from services.platform.kafka import IN_BATCHES, Connection, cluster_id, group_consumer, stop, tell_lag
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.postgres import AWAY
from services.session_store import apply
from services.session_store.clock import DatabaseClock
from services.session_store.memory import Change

log = structlog.get_logger()

TOPIC: Final = topics.SESSION_EVENTS.name
MOVE: Final = """
WITH batch AS (SELECT * FROM unnest($3::int[], $4::bigint[], $5::bigint[]) AS b (partition, first, after))
INSERT INTO offsets AS o (cluster_id, topic, partition, next_offset)
SELECT $1, $2, partition, after FROM batch ORDER BY partition
ON CONFLICT (cluster_id, topic, partition) DO UPDATE SET next_offset = excluded.next_offset
WHERE o.next_offset = (SELECT first FROM batch WHERE batch.partition = o.partition)
RETURNING partition
"""
STORED: Final = "SELECT partition, next_offset FROM offsets WHERE cluster_id = $1 AND topic = $2"
BATCH: Final = 500


class OutsideTheLog(Exception):
    """A stored offset is not in the log any more: events were lost. See docs/operations.md, recovery."""


class Moved(Exception):
    """Another writer has applied this batch."""


class Writer(ConsumerRebalanceListener):  # type: ignore[misc]
    """Applies the topic to Postgres. `run` returns only by an exception that must stop the process."""

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        clock: DatabaseClock,
        connection: Connection,
        verifier: Verifier,
        letters: DeadLetters,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._connection = connection
        self._verifier = verifier
        self._letters = letters
        self._consumer: Any = None
        self._cluster = ""
        self._next: dict[int, int] = {}

    async def run(self) -> None:
        while True:
            more = {"client_id": "session-store-writer", **IN_BATCHES}
            self._consumer = group_consumer(self._connection, "session-store-writer", **more)
            try:
                self._cluster = await cluster_id(self._connection)
                self._consumer.subscribe([TOPIC], listener=self)
                await self._consumer.start()
                tell_lag(self._consumer, TOPIC, "session-store-writer")
                await self._consume()
            except OffsetOutOfRangeError:
                log.critical("stored_offset_outside_the_log")
                raise OutsideTheLog from None
            except (KafkaError, OSError) as away:
                log.warning("session_topic_away", error=type(away).__name__)
            finally:
                await stop(self._consumer)
            await asyncio.sleep(0.5)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing is held back: a batch is applied before the next is asked for."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Begin where Postgres says."""
        await self._seek(list(assigned))

    async def _consume(self) -> None:
        while True:
            try:
                batches = await self._consumer.getmany(timeout_ms=500, max_records=BATCH)
            except NoOffsetForPartitionError:
                await self._seek(list(self._consumer.assignment()))
                continue
            try:
                await self._apply(batches)
            except (*AWAY, Moved) as trouble:
                partitions = sorted(partition.partition for partition in batches)
                log.warning("batch_not_applied", partitions=partitions, error=type(trouble).__name__)
                await asyncio.sleep(0.2)
                await self._seek(list(batches))

    async def _apply(self, batches: Mapping[TopicPartition, list[Any]]) -> None:
        """All of it or nothing. A partition is moved on from where it was found: offsets have gaps, which a transaction
        of whoever may write leaves.
        """
        batches = {tp: new for tp, records in batches.items() if (new := self._new(tp.partition, records))}
        if not batches:
            return
        began = time.monotonic()
        changes = await self._read([record for records in batches.values() for record in records])
        moves = [(tp.partition, self._next[tp.partition], records[-1].offset + 1) for tp, records in batches.items()]
        async with self._pool.acquire() as connection, connection.transaction():
            moved = await connection.fetch(
                MOVE, self._cluster, TOPIC, *(list(each) for each in zip(*moves, strict=True))
            )
            if len(moved) < len(moves):
                raise Moved
            await apply.write(connection, changes)
            failpoints.reached("session-store.in-batch")
        self._next |= {partition: after for partition, _, after in moves}
        apply.tell(changes, time.monotonic() - began, "kafka")

    def _new(self, partition: int, records: list[Any]) -> list[Any]:
        return [record for record in records if record.offset >= self._next[partition]]

    async def _read(self, records: list[Any]) -> list[Change]:
        """Dead letters go out side by side: whoever writes many bad records holds up the others little."""
        changes, bad = list[Change](), list[tuple[Any, str]]()
        for record in records:
            try:
                changes.append(read_record(self._verifier, record, self._clock.now()))
            except BadSignature:
                metrics.FORGED.labels("session-event").inc()
                bad.append((record, "bad-signature"))
            except codec.BadEvent as why:
                bad.append((record, why.reason))
            except apply.Refused as refused:
                bad.append((record, str(refused)))
        await asyncio.gather(*(self._letters.send(record, reason) for record, reason in bad))
        return changes

    async def _seek(self, partitions: list[TopicPartition]) -> None:
        while True:
            try:
                rows = await self._pool.fetch(STORED, self._cluster, TOPIC)
                break
            except AWAY:
                await asyncio.sleep(0.5)
        stored = {row["partition"]: row["next_offset"] for row in rows}
        for place in partitions:
            self._next[place.partition] = stored.get(place.partition, 0)
            self._consumer.seek(place, self._next[place.partition])


def read_record(verifier: Verifier, record: Any, now: float) -> Change:
    """One Kafka record as an event; see `apply.read` for what it raises."""
    signature = dict(record.headers).get(topics.SIGNATURE_HEADER)
    return apply.read(verifier, record.key or b"", record.value or b"", signature, now)
