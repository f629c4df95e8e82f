"""Collects what a run leaves: offsets while it lasts; topics, inbox and tables afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.stack import Stack
from schemas import codec, topics
from services.platform.kafka import Connection, cluster_id, follower, stop
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import ReceiptTokens
from tests.faults.records import Offset, Record, Submission, Told
from tests.faults.town import Town

GROUPS: Final = ("delivery", "gateway-outcomes")
LOOK_SECONDS: Final = 0.5
HEAL_SECONDS: Final = 30
LOGINS: Final = "SELECT * FROM logins WHERE account_id = ANY($1::uuid[])"
LEDGER: Final = "SELECT * FROM deliveries WHERE account_id = ANY($1::uuid[])"
LOG: Final = "SELECT * FROM delivery_log WHERE account_id = ANY($1::uuid[]) ORDER BY id"
SESSIONS: Final = "SELECT * FROM sessions WHERE account_id = ANY($1::uuid[])"


@asynccontextmanager
async def offsets_seen(stack: Stack, record: Record) -> AsyncIterator[None]:
    """Look at every committed offset, again and again, until the block ends and each group was seen: one whose process
    was killed joins again within the time that it may take to heal.
    """
    over = asyncio.Event()
    tasks = [asyncio.create_task(_watch(look, stack, record, over)) for look in (_stored, _committed)]
    try:
        yield
    finally:
        over.set()  # clients of both servers lose a cancellation that comes in the wrong moment
        await asyncio.gather(*tasks, return_exceptions=True)
    await _stored(stack, record)
    async with asyncio.timeout(HEAL_SECONDS):
        await _committed(stack, record)
        while not {*GROUPS} <= {seen.group for seen in record.offsets}:
            await asyncio.sleep(LOOK_SECONDS)
            await _committed(stack, record)


async def _watch(look: Any, stack: Stack, record: Record, over: asyncio.Event) -> None:
    while not over.is_set():
        with suppress(KafkaError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with asyncio.timeout(3):
                await look(stack, record)
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await over.wait()


async def _stored(stack: Stack, record: Record) -> None:
    """The session store's, in its database."""
    for row in await rows(stack, "session-store", "SELECT * FROM offsets"):
        place = (row["cluster_id"], "session-store", row["topic"], row["partition"])
        record.offsets.append(Offset(time.time(), *place, row["next_offset"]))


async def _committed(stack: Stack, record: Record) -> None:
    """Those that Kafka keeps for a group."""
    cluster = await cluster_id(Connection(stack.kafka))
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka, request_timeout_ms=2500)
    try:
        await admin.start()
        for group in GROUPS:
            at, found = time.time(), await admin.list_consumer_group_offsets(group)
            record.offsets += [
                Offset(at, cluster, group, place.topic, place.partition, kept.offset)
                for place, kept in found.items()
                if kept.offset >= 0
            ]
    finally:
        await admin.close()


async def rows(stack: Stack, service: str, query: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(stack.dsn(service), timeout=5)
    try:
        return list(await connection.fetch(query, *values, timeout=10))
    finally:
        await connection.close(timeout=5)


async def collect(town: Town) -> None:
    """Everything of the town's accounts, once it is over."""
    record, stack, ids = town.record, town.site.stack, town.record.accounts
    record.logins = {str(row["login_id"]): row for row in await rows(stack, "gateway", LOGINS, ids)}
    record.ledger = {str(row["id"]): row for row in await rows(stack, "delivery", LEDGER, ids)}
    record.log = await rows(stack, "delivery", LOG, ids)
    record.sessions = {str(row["login_id"]): row for row in await rows(stack, "session-store", SESSIONS, ids)}
    record.submissions = await _submissions(town)
    record.told = await copy_of_topics(stack, set(ids))


async def _submissions(town: Town) -> list[Submission]:
    async with town.http.get(f"{town.inbox}/attempts") as answer:
        found = (await answer.json())["attempts"]
    tokens = ReceiptTokens(Keyrings(town.site.stack.environment.keys / "delivery").secret("receipts"))
    named = [(a, _row_of(a["ref"], tokens)) for a in found]
    return [
        Submission(instant(a["came"]), a["channel"], row, a["code"], a["answered"], a["arrived"])
        for a, row in named
        if row in town.record.ledger
    ]


def _row_of(ref: str | None, tokens: ReceiptTokens) -> str:
    """An e-mail names its row, an SMS a token that does."""
    return str(tokens.read(ref)) if ReceiptTokens.is_one(ref) else ref or ""


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def copy_of_topics(stack: Stack, accounts: set[UUID]) -> list[Told]:
    """Every record of every topic, from the beginning, by a consumer without a group. Forged ones are left out."""
    consumer = follower(Connection(stack.kafka), "faults-copy")
    await consumer.start()
    try:
        every = [topic for topic in topics.TOPICS if topic.events]
        places = [TopicPartition(topic.name, n) for topic in every for n in range(topic.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        return await _read(consumer, places, Reading(stack, accounts))
    finally:
        await stop(consumer)


class Reading:
    """Picks what is an event of these accounts."""

    def __init__(self, stack: Stack, accounts: set[UUID]) -> None:
        self._ids = {str(account) for account in accounts}
        self._verifier = Verifier(Keyrings(stack.environment.keys / "gateway").secret("grants.pub"))
        self.found: list[Told] = []

    def take(self, record: Any) -> None:
        with suppress(codec.BadEvent, BadSignature):
            event = codec.decode_for(record.topic, record.value or b"")
            if event.account_id in self._ids:
                if topics.is_signed(event):
                    self._verifier.verify_record(record)
                at = record.timestamp / 1000
                self.found.append(Told(record.topic, record.partition, record.offset, at, event))


async def _read(consumer: Any, places: list[TopicPartition], reading: Reading) -> list[Told]:
    ends = await consumer.end_offsets(places)
    async with asyncio.timeout(60):
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200, max_records=5000)).values():
                for record in records:
                    reading.take(record)
    return sorted(reading.found)
