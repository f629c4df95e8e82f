"""What delivery says of each message, kept in the logins' rows."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from aiokafka.errors import KafkaError

from schemas import codec, topics
from schemas.events import CodeDelivered, CodeSent, DeliveryFailed
from services.login_gateway.ports import Logins, NotStorable, Word
from services.login_gateway.status import word_of
from services.platform.dead_letters import DeadLetters
from services.platform.kafka import IN_BATCHES, Connection, group_consumer, stop, tell_lag
from services.platform.postgres import until_it_works

log = structlog.get_logger()


async def follow_outcomes(logins: Logins, connection: Connection, dead_letters: DeadLetters) -> None:
    """Keep `logins.delivery` true, for ever. The offset is committed once the rows say it."""
    while True:
        more = {"auto_offset_reset": "earliest", **IN_BATCHES}
        consumer = group_consumer(connection, "gateway-outcomes", "gateway-outcomes", **more)
        try:
            consumer.subscribe([topics.DELIVERY_OUTCOMES.name])
            await consumer.start()
            tell_lag(consumer, topics.DELIVERY_OUTCOMES.name, "gateway-outcomes")
            await _read(logins, consumer, dead_letters)
        except (KafkaError, OSError) as away:
            log.warning("outcomes_topic_away", error=type(away).__name__)
        finally:
            await stop(consumer)
        await asyncio.sleep(1.0)


async def _read(logins: Logins, consumer: Any, dead_letters: DeadLetters) -> None:
    while True:
        batches = await consumer.getmany(timeout_ms=1000, max_records=500)
        if records := [record for batch in batches.values() for record in batch]:
            await _take(logins, records, dead_letters)
            await consumer.commit()


async def _take(logins: Logins, records: Sequence[Any], dead_letters: DeadLetters) -> None:
    """All of them at once; what cannot be stored is found by taking them one by one."""
    good = [(record, word) for record in records if (word := await _word(record, dead_letters)) is not None]
    try:
        await _tell(logins, [word for _, word in good])
    except NotStorable:
        for record, word in good:
            await _tell_one(logins, record, word, dead_letters)


async def _tell(logins: Logins, words: Sequence[Word]) -> None:
    if words:
        await until_it_works(lambda: logins.tell(words), "outcome_waits")


async def _tell_one(logins: Logins, record: Any, word: Word, dead_letters: DeadLetters) -> None:
    try:
        await _tell(logins, [word])
    except NotStorable:
        await dead_letters.send(record, "not-storable")


async def _word(record: Any, dead_letters: DeadLetters) -> Word | None:
    """None for what says nothing of a login's message."""
    try:
        event = codec.decode_for(record.topic, record.value)
        if not isinstance(event, CodeSent | CodeDelivered | DeliveryFailed) or event.login_id is None:
            return None
        return UUID(event.login_id), event.channel, word_of(event)
    except codec.BadEvent as bad:
        await dead_letters.send(record, bad.reason)
    except ValueError:
        await dead_letters.send(record, "not-storable")
    return None
