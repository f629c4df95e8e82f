"""What really goes out on the topics, for the tests of every service."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from schemas import codec, topics
from schemas.events import AnyEvent
from services.platform.kafka import Connection, follower
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.keys.keyring import Keyrings


@asynccontextmanager
async def listening(
    kafka: str, keys: Path, names: Sequence[str], client_id: str, events: list[AnyEvent]
) -> AsyncIterator[None]:
    """Append what comes from now on to `events`; a signed event counts only if its signature is right."""
    consumer = follower(Connection(kafka), client_id)
    await consumer.start()
    counts = {topic.name: topic.partitions for topic in topics.TOPICS}
    places = [TopicPartition(name, n) for name in names for n in range(counts[name])]
    consumer.assign(places)
    await consumer.seek_to_end(*places)
    for place in places:
        await consumer.position(place)
    task = asyncio.create_task(_listen(consumer, Verifier(Keyrings(keys).secret("grants.pub")), events))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await consumer.stop()


async def _listen(consumer: Any, verifier: Verifier, events: list[AnyEvent]) -> None:
    """What other tests forge on the same topics is not heard."""
    async for record in consumer:
        with suppress(codec.BadEvent, BadSignature):
            event = codec.decode_for(record.topic, record.value)
            if topics.is_signed(event):
                verifier.verify_record(record)
            events.append(event)
