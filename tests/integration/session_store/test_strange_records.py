"""Whoever may write to `session-events`, without a key of the gateway, stops nobody who reads it."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from schemas import topics
from tests.batches import ZSTD, NoUtf8, Raw, put
from tests.integration.session_store.world import Made, Place, World

TOPIC = topics.SESSION_EVENTS.name
PARTITIONS = list(range(topics.SESSION_EVENTS.partitions))
BAD = Raw(b"k", b"{}", [(NoUtf8("x"), b"1")])
Write = Callable[[Place, int], Awaitable[None]]


async def within_a_transaction(place: Place, partition: int) -> None:
    """Its end takes an offset that no reader is given."""
    name = f"test-{uuid4()}"
    async with AIOKafkaProducer(bootstrap_servers=place.kafka, transactional_id=name) as producer:
        for _ in range(2):
            async with producer.transaction():
                await producer.send(TOPIC, b"{}", key=b"k", partition=partition)


def unreadable(*records: Raw, codec: int = 0) -> Write:
    async def write(place: Place, partition: int) -> None:
        await put(place.kafka, TOPIC, partition, *records, codec=codec)

    return write


WAYS: dict[str, Write] = {
    "a transaction": within_a_transaction,
    "a name that is no UTF-8": unreadable(BAD, BAD),
    "a signature without a value": unreadable(Raw(b"k", b"{}", [(topics.SIGNATURE_HEADER, None)])),
    "a signature beyond all length": unreadable(Raw(b"k", b"{}", [(topics.SIGNATURE_HEADER, b"x" * 70_000)])),
    "much in little": unreadable(Raw(b"k", bytes(8 * 1024 * 1024)), codec=ZSTD),
}


@pytest.mark.parametrize("write", WAYS.values(), ids=WAYS)
async def test_what_comes_behind_a_strange_record_is_read_and_kept(place: Place, world: World, write: Write):
    made = world.session()
    await write(place, DefaultPartitioner()(topics.key_of(made.event), PARTITIONS, PARTITIONS))
    await world.publish(made.event)
    await world.becomes(made, True)
    await kept(world, made)


async def kept(world: World, made: Made) -> None:
    async with asyncio.timeout(15):
        while not await world.stored(made):  # noqa: ASYNC110 - Postgres tells nobody
            await asyncio.sleep(0.05)
