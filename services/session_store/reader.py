"""The reader of a process: memory fed by the topic, Postgres behind it, and 503 rather than a guess (DESIGN 2.6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas import codec
from services.platform import metrics
from services.platform.kafka import Connection, cluster_id, follower, stop
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.keys.tokens import Token
from services.platform.postgres import AWAY, until_it_works
from services.session_store import apply
from services.session_store.memory import Memory, Rules, Session
from services.session_store.policy import Policy
from services.session_store.writer import STORED, TOPIC, read_record

log = structlog.get_logger()

FRESH_SECONDS: Final = 2.0
BEHIND_SECONDS: Final = 1.0
YOUNG_SECONDS: Final = 10.0
WAIT_SECONDS: Final = 2.0
CLOCK_SECONDS: Final = 10.0
FETCH_MS: Final = 400
FIND: Final = "SELECT s.* FROM sessions s LEFT JOIN revocations r USING (login_id) WHERE login_id = $1 AND r IS NULL"
FLOORS: Final = "SELECT scope, id, floor FROM floors"
POLICIES: Final = "SELECT account_id, effective_at, max_age FROM policies"
STOPPED: Final = "SELECT account_id FROM stopped_accounts"
RULES_OF: Final = (
    FLOORS + " WHERE id = ANY($1::uuid[])",
    POLICIES + " WHERE account_id = ANY($1::uuid[])",
    STOPPED + " WHERE account_id = ANY($1::uuid[])",
)


class Unknown(Exception):
    """Whether this session lives cannot be told now: answer 503, never "active"."""


class Reader:
    """`alive` answers for a token; `run` keeps the memory true."""

    def __init__(
        self, pool: asyncpg.Pool[asyncpg.Record], connection: Connection, verifier: Verifier, cached: int
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._verifier = verifier
        self._cached = cached
        self.memory = Memory(cached)
        self._consumer: Any = None
        self._caught_up = False
        self._behind_since: dict[int, float] = {}
        self._offset = 0.0

    def now(self) -> float:
        """The database's clock, in Unix seconds."""
        return time.monotonic() + self._offset

    def current(self) -> bool:
        """Whether memory may answer: every partition was just heard of, and none is behind for over a second."""
        if not self._caught_up or self._consumer is None:
            return False
        return all(self._heard(partition) for partition in self._consumer.assignment())

    async def alive(self, token: Token) -> Session | None:
        """The session of a true token, if it lives. Raises `Unknown`."""
        session, rules = await self._look_up(token)
        if session is None or session.secret_hash != token.hash:
            return None
        if session.account_id in rules.stopped:
            raise Unknown("this account is stopped: an event of unknown type")
        return session if rules.lets_live(session, self.now()) else None

    async def end_of(self, session: Session) -> float:
        rules = self.memory.rules if self.current() else await self._rules_of(session)
        return rules.end_of(session)

    def forget(self, login_id: UUID) -> None:
        """A revocation written by this process takes effect in its memory at once."""
        self.memory.rules.revoked.add(login_id)
        self.memory.sessions.pop(login_id, None)

    async def run(self) -> None:
        """Follow the topic for ever; every start begins from a snapshot."""
        while True:
            self._caught_up = False
            self._consumer = None
            consumer = follower(self._connection, "session-store-reader", fetch_max_wait_ms=FETCH_MS)
            try:
                await self._begin(consumer)
                await self._follow(consumer)
            except (KafkaError, OSError, *AWAY) as away:
                log.warning("session_feed_away", error=type(away).__name__)
            finally:
                self._caught_up = False
                await stop(consumer)
            await asyncio.sleep(0.5)

    async def keep_time(self) -> None:
        """Measure the database's clock, and again every ten seconds."""
        while True:
            await until_it_works(self._measure, "clock_not_measured")
            await asyncio.sleep(CLOCK_SECONDS)

    async def _measure(self) -> None:
        before = time.monotonic()
        theirs = await self._pool.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
        self._offset = theirs - (before + time.monotonic()) / 2

    async def _begin(self, consumer: Any) -> None:
        cluster = await cluster_id(self._connection)
        await consumer.start()
        memory, stored = await self._snapshot(cluster)
        found = consumer.partitions_for_topic(TOPIC) or await _partitions(consumer)
        partitions = [TopicPartition(TOPIC, number) for number in sorted(found)]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, stored.get(partition.partition, 0))
        ends = await consumer.end_offsets(partitions)
        self.memory = memory
        self._consumer = consumer
        self._behind_since = {}
        await self._reach(consumer, ends)

    async def _reach(self, consumer: Any, ends: Mapping[TopicPartition, int]) -> None:
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            await self._take(await consumer.getmany(timeout_ms=200, max_records=2000))
        self._caught_up = True
        log.info("session_feed_current", sessions=len(self.memory.sessions))

    async def _follow(self, consumer: Any) -> None:
        while True:
            await self._take(await consumer.getmany(timeout_ms=200, max_records=2000))

    async def _take(self, batches: Mapping[TopicPartition, list[Any]]) -> None:
        for records in batches.values():
            for record in records:
                self._apply(record)

    def _apply(self, record: Any) -> None:
        """The writer makes dead letters of what is bad; here it has no effect."""
        try:
            self.memory.apply(read_record(self._verifier, record))
        except apply.UnknownEvent as unknown:
            self.memory.rules.stopped.add(unknown.account_id)
        except (BadSignature, codec.BadEvent, apply.Refused):
            return

    async def _snapshot(self, cluster: str) -> tuple[Memory, dict[int, int]]:
        """Rules and the writer's offsets, as of one instant."""
        memory = Memory(self._cached)
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            stored = await connection.fetch(STORED, cluster, TOPIC)
            rows = [await connection.fetch(query) for query in (FLOORS, POLICIES, STOPPED)]
            revoked = await connection.fetch("SELECT login_id FROM revocations")
        _fill(memory.rules, *rows)
        memory.rules.revoked.update(row["login_id"] for row in revoked)
        return memory, {row["partition"]: row["next_offset"] for row in stored}

    def _heard(self, partition: TopicPartition) -> bool:
        heard = self._consumer.last_poll_timestamp(partition)
        position = self._consumer._subscription.subscription.assignment.state_value(partition).position
        end = self._consumer.highwater(partition)
        if heard is None or time.time() - heard / 1000 > FRESH_SECONDS:
            return False
        if end is None or position >= end:
            self._behind_since.pop(partition.partition, None)
            return True
        since = self._behind_since.setdefault(partition.partition, time.monotonic())
        return time.monotonic() - since <= BEHIND_SECONDS

    async def _look_up(self, token: Token) -> tuple[Session | None, Rules]:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            session, rules = await self._look_once(token.login_id)
            if session is not None or token.login_id in rules.revoked or not self._young(token):
                return session, rules
            if time.monotonic() > deadline:
                raise Unknown("the session of this new token has not arrived yet")
            await asyncio.sleep(0.02)

    def _young(self, token: Token) -> bool:
        return self.now() - token.issued_at < YOUNG_SECONDS

    async def _look_once(self, login_id: UUID) -> tuple[Session | None, Rules]:
        if not self.current():
            return await self._from_postgres(login_id)
        memory = self.memory
        session = memory.sessions.get(login_id)
        if session is None and login_id not in memory.rules.revoked:
            session = await self._fetch(login_id)
            if session is not None and login_id not in memory.rules.revoked:
                memory.sessions[login_id] = session
        metrics.CHECKS.labels("memory").inc()
        return session, memory.rules

    async def _from_postgres(self, login_id: UUID) -> tuple[Session | None, Rules]:
        metrics.CHECKS.labels("postgres").inc()
        session = await self._fetch(login_id)
        return session, Rules() if session is None else await self._rules_of(session)

    async def _fetch(self, login_id: UUID) -> Session | None:
        try:
            row = await self._pool.fetchrow(FIND, login_id)
        except AWAY:
            raise Unknown("neither memory nor the database can tell") from None
        return None if row is None else Session.of_row(dict(row))

    async def _rules_of(self, session: Session) -> Rules:
        rules, ids = Rules(), [session.account_id, session.user_id]
        try:
            _fill(rules, *[await self._pool.fetch(query, ids) for query in RULES_OF])
        except AWAY:
            raise Unknown("neither memory nor the database can tell") from None
        return rules


def _fill(rules: Rules, floors: Any, policies: Any, stopped: Any) -> None:
    for row in floors:
        rules.raise_floor(row["scope"], row["id"], row["floor"])
    for row in policies:
        rules.add_policy(row["account_id"], Policy(row["effective_at"].timestamp(), row["max_age"]))
    rules.stopped.update(row["account_id"] for row in stopped)


async def _partitions(consumer: Any) -> set[int]:
    await consumer._client.force_metadata_update()
    found: set[int] = consumer.partitions_for_topic(TOPIC) or set()
    if not found:
        raise KafkaError(f"the topic {TOPIC} does not exist; run `gatepost topics create`")
    return found
