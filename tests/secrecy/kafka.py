"""Kafka as whoever steals it reads it: its files, and every record out of its compression."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from deploy.local.stack import Stack
from schemas import topics
from services.platform.kafka import Connection, follower
from tests.secrecy.pieces import Piece, in_folder, joined, of_file


async def records(stack: Stack) -> AsyncIterator[Any]:
    """Every record that every topic holds now."""
    consumer = follower(Connection(stack.kafka), "gatepost-test-secrecy")
    await consumer.start()
    try:
        places = [TopicPartition(topic.name, n) for topic in topics.TOPICS for n in range(topic.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        waiting = {place for place, end in ends.items() if await consumer.position(place) < end}
        while waiting:
            for batch in (await consumer.getmany(timeout_ms=1000)).values():
                for record in batch:
                    yield record
            waiting = {place for place in waiting if await consumer.position(place) < ends[place]}
    finally:
        await consumer.stop()


async def read(stack: Stack, found: list[Any]) -> AsyncIterator[Piece]:
    for topic in topics.TOPICS:
        own = (_bytes(record) for record in found if record.topic == topic.name)
        for piece in joined(f"kafka/{topic.name}/record", f"records of {topic.name}", own):
            yield piece
    for piece in _files(stack.folder / "kafka"):
        yield piece


def _bytes(record: Any) -> bytes:
    headers = [part for name, value in record.headers for part in (name.encode(), value or b"")]
    return b"\x00".join((record.key or b"", record.value or b"", *headers))


def _files(folder: Path) -> Iterator[Piece]:
    data = folder / "data"
    for path in in_folder(folder):
        topic = path.relative_to(data).parts[0].rpartition("-")[0] if path.is_relative_to(data) else ""
        yield from of_file(f"kafka/{topic or 'other'}/file", path)
