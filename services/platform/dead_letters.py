"""Records that nobody can use: sealed, with where they came from and why, so that an operator can look and replay."""

import asyncio
from typing import Any, Final

import structlog

from schemas import topics
from services.platform import metrics
from services.platform.kafka import BrokerAway, Producer, Refused
from services.platform.keys.deadletters import DeadLetterSeal

log = structlog.get_logger()

RETRY_SECONDS: Final = 1.0
LONGEST_SIGNATURE: Final = 0xFFFF


class DeadLetters:
    """Writes to the topic `dead-letters`; the consumer moves on only when the letter is safe."""

    def __init__(self, seal: DeadLetterSeal, producer: Producer, service: str) -> None:
        self._seal = seal
        self._producer = producer
        self._service = service

    async def send(self, record: Any, reason: str) -> None:
        """Seal and send one Kafka record (`topic, partition, offset, key, value, headers`), however long it takes."""
        log.error("dead_letter", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)
        metrics.DEAD_LETTERS.labels(record.topic, reason).inc()
        headers = self._headers(record, reason)
        value = self._seal.seal(_packed(record))
        while True:
            try:
                await self._producer.send(topics.DEAD_LETTERS.name, record.key or b"", value, headers)
                return
            except Refused as refused:
                log.error("dead_letter_refused", topic=record.topic, offset=record.offset, reason=str(refused))
                return
            except BrokerAway:
                await asyncio.sleep(RETRY_SECONDS)

    def _headers(self, record: Any, reason: str) -> list[tuple[str, bytes]]:
        return [
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
            ("reason", reason.encode()),
            ("service", self._service.encode()),
        ]


def _packed(record: Any) -> bytes:
    """The signature (its length first), then the value: a replay sends exactly these bytes again. A header may have no
    value, or one that is longer than any signature: a letter is made of such a record too, without it.
    """
    signature: bytes = dict(record.headers or ()).get(topics.SIGNATURE_HEADER) or b""
    if len(signature) > LONGEST_SIGNATURE:
        signature = b""
    value: bytes = record.value or b""
    return len(signature).to_bytes(2, "big") + signature + value


def unpacked(data: bytes) -> tuple[bytes, bytes]:
    """Signature and value of an opened dead letter."""
    size = int.from_bytes(data[:2], "big")
    return data[2 : 2 + size], data[2 + size :]
