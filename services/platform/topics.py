"""Topics are made from the table in `schemas/topics.py`, never by writing to them."""

import asyncio
from typing import Final

import msgspec
import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from schemas.topics import GROUPS, TOPICS, Topic
from services.platform.cluster import own
from services.platform.kafka import Connection, Producer
from services.platform.topics_check import of_own

log = structlog.get_logger()

RETRY_SECONDS: Final = 2.0


async def create_topics(connection: Connection, partitions: int, replication: int) -> list[str]:
    """Create what is missing and return its names; what exists is left as it is."""
    admin = AIOKafkaAdminClient(**connection.options())
    await admin.start()
    try:
        present = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in present]
        if missing:
            answer = await admin.create_topics([_new(topic, partitions, replication) for topic in missing])
            _raise_first(answer)
        return [topic.name for topic in missing]
    finally:
        await admin.close()


async def tell_lacks(connection: Connection, who: str) -> None:
    """Once Kafka answers: one line that names what this service lacks there. It runs all the same, since whoever mends
    that need not start it again.
    """
    while True:
        try:
            found = of_own(who, await own(connection, GROUPS[who]), f"User:{who}")
            break
        except (KafkaError, OSError, TimeoutError) as away:
            log.info("kafka_not_asked_yet", error=type(away).__name__)
            await asyncio.sleep(RETRY_SECONDS)
    if found:
        lacks = [f"{each.about}: {each.says}" for each in found]
        log.error("kafka_lacks", lacks=lacks, do=f"gatepost topics check --as {who}")


class Exported(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record as it was, its bytes in base64."""

    topic: str
    key: bytes
    value: bytes
    headers: dict[str, bytes]


async def publish_again(connection: Connection, record: Exported) -> None:
    """Raises `BrokerAway` or `Refused`."""
    producer = Producer(connection, "gatepost-publish")
    try:
        await producer.send(record.topic, record.key, record.value, list(record.headers.items()))
    finally:
        await producer.stop()


async def missing_topics(connection: Connection) -> list[str]:
    admin = AIOKafkaAdminClient(**connection.options())
    await admin.start()
    try:
        present = set(await admin.list_topics())
    finally:
        await admin.close()
    return [topic.name for topic in TOPICS if topic.name not in present]


def _new(topic: Topic, partitions: int, replication: int) -> NewTopic:
    count = partitions if topic.partitions > 1 else 1
    return NewTopic(topic.name, count, replication, topic_configs=topic.settings())


def _raise_first(answer: object) -> None:
    for name, code, *_ in getattr(answer, "topic_errors", ()):
        error = for_code(code)
        if code and error.__name__ != "TopicAlreadyExistsError":
            raise error(name)
