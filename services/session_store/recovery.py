"""After a restore that is older than the topic: the writer's offsets, moved to where the topic begins."""

from typing import Any, Final

import asyncpg
from aiokafka import TopicPartition

from services.platform.kafka import Connection, cluster_id, follower, partitions_of, stop
from services.session_store.writer import STORED, TOPIC

PUT: Final = """
INSERT INTO offsets (cluster_id, topic, partition, next_offset) VALUES ($1, $2, $3, $4)
ON CONFLICT (cluster_id, topic, partition) DO UPDATE SET next_offset = excluded.next_offset
"""


async def into_the_log(dsn: str, kafka: Connection) -> int:
    """Move each stored offset that the topic does not hold; gives how many. What is read twice changes nothing."""
    cluster = await cluster_id(kafka)
    begins, ends = await _bounds(kafka)
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction():
            stored = {row["partition"]: row["next_offset"] for row in await connection.fetch(STORED, cluster, TOPIC)}
            outside = {p: begin for p, begin in begins.items() if not begin <= stored.get(p, 0) <= ends[p]}
            await connection.executemany(PUT, [(cluster, TOPIC, p, begin) for p, begin in outside.items()])
    finally:
        await connection.close()
    return len(outside)


async def _bounds(kafka: Connection) -> tuple[dict[int, int], dict[int, int]]:
    """The first offset of each partition, and the one after its last."""
    consumer: Any = follower(kafka, "session-store-recovery")
    await consumer.start()
    try:
        partitions = [TopicPartition(TOPIC, number) for number in await partitions_of(consumer, TOPIC)]
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
    finally:
        await stop(consumer)
    return {p.partition: at for p, at in begins.items()}, {p.partition: at for p, at in ends.items()}
