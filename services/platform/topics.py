"""Topics are made from the table in `schemas/topics.py`, never by writing to them."""

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from schemas.topics import TOPICS, Topic
from services.platform.kafka import Connection, Producer


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
