"""Reads the topic `logins`: what platforms feed by Kafka.

A batch is read, judged and written before the next is asked for: a feed that is faster than this waits in Kafka. How
far a partition was read stands in Postgres and moves in the transaction that opens its logins, from exactly where this
process had found it: of two processes that have the same records one writes nothing.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from schemas import topics
from services.login_gateway import feed_records
from services.login_gateway.feed_records import FedRecord, NotTaken, Sender
from services.login_gateway.ports import Contended, Move, Moved, NotStorable
from services.platform import metrics
from services.platform.dead_letters import DeadLetters
from services.platform.kafka import Connection, cluster_id, group_consumer, stop, tell_lag
from services.platform.postgres import AWAY, until_it_works

log = structlog.get_logger()

TOPIC: Final = topics.LOGINS.name
BATCH: Final = 100
LEAST: Final = 5
# Somebody waits for each code: fetched at once, and taken over from a dead process within seconds.
QUICK: Final[dict[str, Any]] = {
    "client_id": "gateway-feed",
    "session_timeout_ms": 6_000,
    "isolation_level": "read_committed",
}
TURN_SECONDS: Final = 0.2


class Road(Protocol):
    """Where a batch goes."""

    async def offsets(self, cluster: str) -> dict[int, int]: ...
    async def senders(self, client_ids: Iterable[str]) -> dict[str, Sender]: ...
    async def planned(self, records: Sequence[FedRecord]) -> list[FedRecord]: ...
    async def take(self, cluster: str, moves: Sequence[Move], records: Sequence[FedRecord]) -> object: ...
    async def take_waiting(self) -> int: ...


class Read(NamedTuple):
    """A record of Kafka's, and what it asks for, if anything."""

    record: Any
    fed: FedRecord | None


class FedLogins(ConsumerRebalanceListener):  # type: ignore[misc]
    """The consumer: as many as there are gateways, one group."""

    def __init__(self, road: Road, connection: Connection, letters: DeadLetters) -> None:
        self._road = road
        self._connection = connection
        self._letters = letters
        self._consumer: Any = None
        self._cluster = ""
        self._next: dict[int, int] = {}
        self._left: dict[int, list[Read]] = {}
        self._most = BATCH

    async def run(self) -> None:
        """For ever; a broker that is away is asked again every second. Whatever a feed brings: people sign in here, and
        their process does not end by it. A partition that is stuck shows as its lag.
        """
        while True:
            self._left.clear()
            self._consumer = group_consumer(self._connection, "gateway-feed", **QUICK)
            try:
                self._cluster = await cluster_id(self._connection)
                self._consumer.subscribe([TOPIC], listener=self)
                await self._consumer.start()
                tell_lag(self._consumer, TOPIC, "gateway-feed")
                await self._consume()
            except (KafkaError, OSError) as away:
                log.warning("feed_topic_away", topic=TOPIC, error=type(away).__name__)
            except Exception as error:
                log.error("feed_topic_failed", topic=TOPIC, exc_info=error)
            finally:
                await stop(self._consumer)
            await asyncio.sleep(1.0)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing is held back: a batch is written before the next is asked for."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        await self._seek(list(assigned))

    async def _consume(self) -> None:
        while True:
            try:
                batches = await self._consumer.getmany(timeout_ms=100 if self._left else 500, max_records=self._most)
            except NoOffsetForPartitionError:
                await self._seek(list(self._consumer.assignment()))
            except OffsetOutOfRangeError as gone:
                await self._begin_anew(gone.args[0])
            else:
                await self._take([record for found in batches.values() for record in found])

    async def _take(self, records: Sequence[Any]) -> None:
        """What is new, and what was left of earlier batches."""
        fresh = [record for record in records if record.offset >= self._next.get(record.partition, 0)]
        if not fresh and not self._left:
            metrics.FEED_AGE_SECONDS.set(0)
            return
        if fresh:
            metrics.FEED_AGE_SECONDS.set(max(0.0, time.time() - min(each.timestamp for each in fresh) / 1000))
        read = await self._planned(await self._read(fresh))
        left, self._left = self._left, {}
        try:
            for partition, waiting in left.items():
                await self._one_by_one([*waiting, *(each for each in read if each.record.partition == partition)])
            await self._write([each for each in read if each.record.partition not in left])
        except Moved:
            log.warning("feed_batch_not_taken", partitions=sorted({each.record.partition for each in read} | set(left)))
            await self._seek(list(self._consumer.assignment()))
        self._hold_back(left)

    def _hold_back(self, before: Iterable[int]) -> None:
        """No more is fetched of a partition that waits."""
        ours = {place.partition: place for place in self._consumer.assignment()}
        for partition in self._left.keys() & ours.keys():
            self._consumer.pause(ours[partition])
        for partition in (set(before) - self._left.keys()) & ours.keys():
            self._consumer.resume(ours[partition])

    async def _read(self, records: Sequence[Any]) -> list[Read]:
        """Signatures are checked one by one, so that nobody else waits for all of them."""
        if not records:
            return []
        signed = {name.client_id for record in records if (name := feed_records.signature_of(record)) is not None}
        senders = await until_it_works(lambda: self._road.senders(signed), "feed_waits")
        found, bad = [], []
        for record in records:
            try:
                found.append(Read(record, feed_records.read(record, senders)))
            except NotTaken as why:
                found.append(Read(record, None))
                bad.append(self._refused(record, str(why)))
            await asyncio.sleep(0)
        await asyncio.gather(*bad)
        return found

    async def _refused(self, record: Any, why: str) -> None:
        if why == "bad-signature":
            metrics.FORGED.labels("fed-login").inc()
        await self._letters.send(record, why)

    async def _planned(self, read: Sequence[Read]) -> list[Read]:
        asked = [each.fed for each in read if each.fed is not None]
        planned = iter(await until_it_works(lambda: self._road.planned(asked), "feed_waits"))
        return [each._replace(fed=next(planned)) if each.fed is not None else each for each in read]

    async def _write(self, read: Sequence[Read]) -> None:
        """All at once; what stands in the way is found by taking them one by one. Batches that take too long get
        smaller until they do not.
        """
        try:
            await self._apply(read)
            self._most = min(BATCH, self._most + 1)
        except (Moved, KafkaError):
            raise
        except Exception as trouble:
            log.info("feed_batch_one_by_one", records=len(read), error=type(trouble).__name__)
            self._most = max(LEAST, self._most // 2)
            await self._one_by_one(read)

    async def _one_by_one(self, read: Sequence[Read]) -> None:
        """A partition whose record somebody is in the way of waits there; the others go on."""
        for each in read:
            partition = each.record.partition
            if partition in self._left or not await self._alone(each):
                self._left.setdefault(partition, []).append(each)

    async def _alone(self, each: Read) -> bool:
        """False while somebody is in its way. What can never be written is a dead letter."""
        try:
            await self._apply([each])
        except Contended:
            return False
        except Moved:
            raise
        except Exception as error:
            reason = "not-storable" if isinstance(error, NotStorable) else "failed"
            log.error("fed_record_failed", reason=reason, exc_info=error)
            await self._letters.send(each.record, reason)
            await self._apply([each._replace(fed=None)])
        return True

    async def _apply(self, read: Sequence[Read]) -> None:
        """While the database is away they are kept and tried again."""
        read = [each for each in read if each.record.offset >= self._next.get(each.record.partition, 0)]
        if not read:
            return
        after = {each.record.partition: each.record.offset + 1 for each in read}
        moves = [Move(partition, self._next.get(partition, 0), end) for partition, end in after.items()]
        asked = [each.fed for each in read if each.fed is not None]
        await until_it_works(lambda: self._road.take(self._cluster, moves, asked), "feed_waits")
        self._next |= after

    async def _seek(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on where Postgres says; a partition that it does not know, from its beginning."""
        stored = await until_it_works(lambda: self._road.offsets(self._cluster), "feed_waits")
        for place in partitions:
            self._left.pop(place.partition, None)
            if place in self._consumer.assignment():
                self._next[place.partition] = stored.get(place.partition, 0)
                self._consumer.seek(place, self._next[place.partition])

    async def _begin_anew(self, places: Iterable[TopicPartition]) -> None:
        """What was to be read next is not in the log: it was kept for a day, and its logins lived for minutes."""
        begin = await self._consumer.beginning_offsets(list(places))
        for place, offset in begin.items():
            was = self._next.get(place.partition, 0)
            if was > 0:
                log.error("fed_logins_are_gone", partition=place.partition, next_offset=was, log_begins=offset)
            move = partial(self._road.take, self._cluster, [Move(place.partition, was, offset)], [])
            try:
                await until_it_works(move, "feed_waits")
            except Moved:
                log.info("feed_batch_not_taken", partitions=[place.partition])
        await self._seek(list(begin))


async def take_turns(road: Road) -> None:
    """Logins that wait for their account's budget, for ever."""
    while True:
        try:
            taken = await road.take_waiting()
        except AWAY as away:
            log.warning("feed_waits", error=type(away).__name__)
            taken = 0
        if not taken:
            await asyncio.sleep(TURN_SECONDS)
