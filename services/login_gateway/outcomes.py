"""What delivery says of each message, kept in the logins' rows."""

import asyncio
from typing import Any
from uuid import UUID

import structlog
from aiokafka.errors import KafkaError

from schemas import codec, topics
from schemas.events import CodeDelivered, CodeSent, DeliveryFailed
from services.login_gateway.ports import Logins
from services.login_gateway.status import word_of
from services.platform.dead_letters import DeadLetters
from services.platform.kafka import Connection, group_consumer, stop
from services.platform.postgres import until_it_works

log = structlog.get_logger()


async def follow_outcomes(logins: Logins, connection: Connection, dead_letters: DeadLetters) -> None:
    """Keep `logins.delivery` true, for ever. The offset is committed once the rows say it."""
    while True:
        consumer = group_consumer(connection, "gateway-outcomes", "gateway-outcomes", auto_offset_reset="earliest")
        try:
            consumer.subscribe([topics.DELIVERY_OUTCOMES.name])
            await consumer.start()
            await _read(logins, consumer, dead_letters)
        except (KafkaError, OSError) as away:
            log.warning("outcomes_topic_away", error=type(away).__name__)
        finally:
            await stop(consumer)
        await asyncio.sleep(1.0)


async def _read(logins: Logins, consumer: Any, dead_letters: DeadLetters) -> None:
    while True:
        batches = await consumer.getmany(timeout_ms=1000, max_records=500)
        for records in batches.values():
            for record in records:
                await _take(logins, record, dead_letters)
        if batches:
            await consumer.commit()


async def _take(logins: Logins, record: Any, dead_letters: DeadLetters) -> None:
    try:
        event = codec.decode_for(record.topic, record.value)
    except codec.BadEvent as bad:
        await dead_letters.send(record, bad.reason)
        return
    if isinstance(event, CodeSent | CodeDelivered | DeliveryFailed) and event.login_id is not None:
        said = (event.channel, word_of(event))
        try:
            login_id = UUID(event.login_id)
            await until_it_works(lambda: logins.tell(login_id, *said), "outcome_waits")
        except ValueError:
            await dead_letters.send(record, "not-storable")
