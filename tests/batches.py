"""Batches as no honest producer writes them, on a real one."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as Builder

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
UNBOUNDED = 1 << 30


class NoUtf8(str):
    """A header's name."""

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfe"


class Raw(NamedTuple):
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes | None]] = ()


async def put(kafka: str, topic: str, partition: int, *records: Raw, codec: int = 0) -> None:
    """All of them as one batch."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=UNBOUNDED) as producer:
        batch = producer.create_batch()
        batch._builder = Builder(2, codec, False, -1, -1, -1, UNBOUNDED)
        for each in records:
            batch.append(timestamp=int(time.time() * 1000), key=each.key, value=each.value, headers=list(each.headers))
        await (await producer.send_batch(batch, topic, partition=partition))
