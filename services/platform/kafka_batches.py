"""Batches that aiokafka cannot read: in a codec that nobody has, with a header's name that is no UTF-8, or a few bytes
that unpack to more than this machine's memory. It would ask for such a batch again and again, and whoever may write to
a topic could hold up all who read it. In its place comes one empty record, which every reader makes a dead letter of.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import cramjam
import structlog
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

log = structlog.get_logger()

LARGEST: Final = 4 * 1024 * 1024
SMALL: Final = 16 * 1024
RATIO: Final = 32
"""Events are half random: no batch of them packs so well."""
GZIP: Final = 31  # zlib's word for its header


class TooMuch(Exception):
    """More than a batch of events can hold."""


class Empty(NamedTuple):
    """What stands for a batch that cannot be read, at its last offset."""

    offset: int
    timestamp: int
    timestamp_type: int = 0
    key: None = None
    value: None = None
    checksum: None = None
    headers: tuple[()] = ()


class Batch:
    """aiokafka's, read as a whole or not at all."""

    def __init__(self, place: Any, batch: Any) -> None:
        self._place, self._batch = place, batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except Exception as bad:  # whatever a parser falls over
            last = self._batch.next_offset - 1
            where = {"topic": self._place.topic, "partition": self._place.partition, "last_offset": last}
            log.error("batch_unreadable", **where, error=type(bad).__name__)
            return iter((Empty(last, getattr(self._batch, "max_timestamp", 0)),))


class Batches:
    """What a fetch brought of a partition."""

    def __init__(self, place: Any, records: Any) -> None:
        self._place, self._records = place, records

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def next_batch(self) -> Batch:
        return Batch(self._place, self._records.next_batch())


class Records(fetcher.PartitionRecords):  # type: ignore[misc]
    def __init__(self, place: Any, records: Any, *more: Any) -> None:
        super().__init__(place, Batches(place, records), *more)


def survive() -> None:
    """From now on consumers of this process get past such batches. Harmless when repeated."""
    fetcher.PartitionRecords = Records
    unpack = {"gzip_decode": _gzip, "lz4_decode": _by(cramjam.lz4), "zstd_decode": _by(cramjam.zstd)}
    for module in (sys.modules[kind.__module__] for kind in (DefaultRecordBatch, LegacyRecordBatch)):
        for name, unpacked in unpack.items():
            if hasattr(module, name):
                setattr(module, name, unpacked)


def _most(data: Any) -> int:
    return min(LARGEST, max(SMALL, RATIO * len(data)))


def _gzip(data: Any) -> bytes:
    stream, most = zlib.decompressobj(GZIP), _most(data)
    found = stream.decompress(bytes(data), most)
    if not stream.eof:
        raise TooMuch
    return found


def _by(codec: Any) -> Callable[[Any], bytes]:
    def unpacked(data: Any) -> bytes:
        room = bytearray(_most(data))
        return bytes(memoryview(room)[: codec.decompress_into(bytes(data), room)])

    return unpacked
