"""The reader of a process: memory fed by the topic, Postgres behind it, and 503 rather than a guess.

Postgres is asked in memory's place only while Kafka is away. Where this process itself is late (it starts, it slept),
Postgres may be late with it, because this process is a writer too: then a check waits for the topic.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from cachetools import TTLCache

from schemas import codec
from schemas.events import SessionRevoked, Verified
from services.platform import failpoints, metrics
from services.platform.kafka import Connection, cluster_id, followed, follower, partitions_of, stop, tell_lag
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.keys.tokens import Token
from services.platform.postgres import AWAY
from services.session_store import apply, lateness
from services.session_store.arrivals import AGAIN_SECONDS, NEAR_SECONDS, Arrivals, soon
from services.session_store.clock import DatabaseClock
from services.session_store.feed import Freshness
from services.session_store.memory import NOWHERE, Change, Found, Memory, Place, Rules, Session
from services.session_store.neighbours import RULES_OF, Known, Neighbours, everything_known, fill, remember
from services.session_store.writer import STORED, TOPIC, read_record

log = structlog.get_logger()

YOUNG_SECONDS: Final = 10.0
WAIT_SECONDS: Final = 2.0
FORGET_SECONDS: Final = 10.0
FETCH_MS: Final = 400
MISSED: Final = 20_000
MISSED_SECONDS: Final = 1.0
"""Whoever holds a token that is dead and forgotten makes the database look for it once in this time."""
FIND: Final = """
SELECT s.*, r.login_id IS NOT NULL AS revoked FROM (SELECT $1::uuid AS login_id) asked
LEFT JOIN sessions s USING (login_id) LEFT JOIN revocations r USING (login_id)
"""


class Unknown(Exception):
    """Whether this session lives cannot be told now: answer 503, never "active"."""


class Alive(NamedTuple):
    """A live session, and when it ends if nothing ends it before (Unix seconds)."""

    session: Session
    until: float


class Reader:
    """`alive` answers for a token; `run` keeps the memory true."""

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        clock: DatabaseClock,
        connection: Connection,
        verifier: Verifier,
        neighbours: Neighbours,
        cached: int,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._connection = connection
        self._verifier = verifier
        self._neighbours = neighbours
        self._cached = cached
        self.memory = Memory(cached)
        self._coming: Memory | None = None
        self._cluster = ""
        self._feed: Freshness | None = None
        self._heard = time.monotonic()
        self._arrivals = Arrivals()
        self._missed: TTLCache[UUID, Found] = TTLCache(MISSED, MISSED_SECONDS)
        self.away = False
        """Whether Kafka was asked in vain, and not since answered."""

    def current(self) -> bool:
        """Whether memory may answer."""
        return self._feed is not None and self._feed.current() and self._neighbours.current()

    async def alive(self, token: Token) -> Alive | None:
        """The session of a true token, if it lives. Raises `Unknown`."""
        session, rules = await self._look_up(token)
        if session is None or session.secret_hash != token.hash:
            return None
        if session.account_id in rules.stopped:
            raise Unknown("this account is stopped: an event of unknown type")
        lives = rules.lets_live(session, self._clock.now())
        return Alive(session, rules.end_of(session)) if lives else None

    async def rules(self, ids: Iterable[UUID]) -> Rules:
        """What ends sessions of these accounts and users. Raises `Unknown`."""
        return self.memory.rules if self.current() else await self._rules_of(list(ids))

    def age(self) -> float:
        """Seconds since the partition was heard of that was heard of least; it grows while there is no feed."""
        if self._feed is not None:
            self._heard = self._feed.heard()
        return time.monotonic() - self._heard

    def apply(self, changes: Iterable[Change]) -> None:
        """What this process has just committed: in memory at once, also in the one that a snapshot is filling."""
        now = self._clock.now()
        for change in changes:
            self._take(change, now)

    def learn(self, known: Known) -> None:
        """What neighbours have committed, likewise."""
        if self._feed is not None:
            lateness.measure_floors(self.memory, known.floors, self._clock.now())
        for memory in self._memories():
            remember(memory, known, self._clock.now())

    def _memories(self) -> list[Memory]:
        return [self.memory] if self._coming is None else [self.memory, self._coming]

    async def run(self) -> None:
        """Follow the topic for ever; every start begins from a snapshot."""
        while True:
            consumer = follower(self._connection, "session-store-reader", fetch_max_wait_ms=FETCH_MS)
            try:
                await self._follow(consumer, await self._begin(consumer))
                continue  # lost: another snapshot at once
            except (KafkaError, OSError, *AWAY) as away:
                self.away = self.away or isinstance(away, KafkaError)
                log.warning("session_feed_away", error=type(away).__name__)
            finally:
                self.age()
                self._feed = None
                await stop(consumer)
            await asyncio.sleep(0.5)

    async def keep_small(self) -> None:
        """Forget, now and then, the revocations that Postgres has for certain."""
        while True:
            await asyncio.sleep(FORGET_SECONDS)
            try:
                await self.forget()
            except AWAY as away:
                log.warning("revocations_kept", error=type(away).__name__)

    async def forget(self) -> None:
        memory, cluster = self.memory, self._cluster
        passed = {row["partition"]: row["next_offset"] for row in await self._pool.fetch(STORED, cluster, TOPIC)}
        memory.rules.forget(self._clock.now(), passed)

    async def _begin(self, consumer: Any) -> Mapping[TopicPartition, int]:
        """A snapshot, the follower at its offsets; gives the ends of the topic as they are now."""
        cluster = await cluster_id(self._connection)
        await consumer.start()
        self._coming = coming = Memory(self._cached)
        stored = await self._snapshot(cluster, coming)
        found = await partitions_of(consumer, TOPIC)
        partitions = [TopicPartition(TOPIC, number) for number in sorted(found)]
        consumer.assign(partitions)
        tell_lag(consumer, TOPIC, "session-store-reader")
        for partition in partitions:
            consumer.seek(partition, stored.get(partition.partition, 0))
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(partitions)
        self.memory, self._coming, self._cluster, self.away = coming, None, cluster, False
        return ends

    async def _follow(self, consumer: Any, ends: Mapping[TopicPartition, int]) -> None:
        """Until the feed is lost: then only another snapshot has what the second road brought meanwhile."""
        failpoints.reached("session-store.before-follow")
        feed = Freshness(followed(consumer))
        while not feed.lost and any([await consumer.position(partition) < end for partition, end in ends.items()]):
            await self._poll(consumer, feed)
        if not feed.lost:
            self._feed = feed
            log.info("session_feed_current", sessions=len(self.memory.sessions))
        while not feed.lost:
            await self._poll(consumer, feed)
        self.away = not feed.slept
        log.warning("session_feed_lost", slept=feed.slept)

    async def _poll(self, consumer: Any, feed: Freshness) -> None:
        batches = await consumer.getmany(timeout_ms=200, max_records=2000)
        feed.current()
        for records in batches.values():
            for record in records:
                self._apply(record)

    def _apply(self, record: Any) -> None:
        """The writer makes dead letters of what is bad; here it has no effect."""
        now = self._clock.now()
        try:
            change = read_record(self._verifier, record, now)
        except (BadSignature, codec.BadEvent, apply.Refused):
            return
        self._take(change, now, Place(record.partition, record.offset))

    def _take(self, change: Change, now: float, place: Place = NOWHERE) -> None:
        if self._feed is not None:
            lateness.measure(self.memory, change, now)
        for memory in self._memories():
            memory.apply(change, now, place)
        if isinstance(change, Verified | SessionRevoked):
            self._missed.pop(UUID(change.login_id), None)
            self._arrivals.told(UUID(change.login_id))

    async def _snapshot(self, cluster: str, memory: Memory) -> dict[int, int]:
        """Rules, recent revocations and the writer's offsets, as of one instant."""
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            stored = await connection.fetch(STORED, cluster, TOPIC)
            known = await everything_known(connection, await connection.fetchval("SELECT now()"))
        remember(memory, known, self._clock.now())
        return {row["partition"]: row["next_offset"] for row in stored}

    async def _look_up(self, token: Token) -> tuple[Session | None, Rules]:
        memory, login_id = self.memory, token.login_id
        if self._young(token) and login_id not in memory.sessions and login_id not in memory.rules.revoked:
            return await self._awaited(token)
        missed = None if login_id in memory.sessions else self._missed.get(login_id)
        if missed is not None:
            return missed.session, memory.rules
        found, rules = await self._look_once(login_id)
        if found.session is None:
            self._missed[login_id] = found
        return found.session, rules

    async def _awaited(self, token: Token) -> tuple[Session | None, Rules]:
        """Read your own login: a young token's session is waited for, first by memory alone: its event is near."""
        deadline = time.monotonic() + WAIT_SECONDS
        with self._arrivals.of(token.login_id) as arrived:
            if self.current():
                await soon(arrived, NEAR_SECONDS)
            while True:
                arrived.clear()
                found, rules = await self._look_once(token.login_id)
                if found.session is not None or found.revoked or not self._young(token):
                    return found.session, rules
                if time.monotonic() > deadline:
                    raise Unknown("the session of this new token has not arrived yet")
                await soon(arrived, AGAIN_SECONDS)

    def _young(self, token: Token) -> bool:
        return self._clock.now() - token.issued_at < YOUNG_SECONDS

    async def _look_once(self, login_id: UUID) -> tuple[Found, Rules]:
        if not await self._memory_may_answer():
            return await self._from_postgres(login_id)
        metrics.CHECKS.labels("memory").inc()
        memory = self.memory
        if login_id in memory.rules.revoked:
            return Found(None, revoked=True), memory.rules
        if (session := memory.sessions.get(login_id)) is not None:
            return Found(session), memory.rules
        found = await self._fetch(login_id)
        if memory is not self.memory or not self.current():
            return await self._look_once(login_id)  # the feed was lost meanwhile
        if found.session is not None:
            memory.keep(found.session)
        return found, memory.rules

    async def _memory_may_answer(self) -> bool:
        """False while Kafka is away. Waits for a feed that is being caught up with. Raises `Unknown`."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not (current := self.current()) and not self.away:
            if time.monotonic() > deadline:
                raise Unknown("this process is catching up")
            await asyncio.sleep(0.02)
        return current

    async def _from_postgres(self, login_id: UUID) -> tuple[Found, Rules]:
        metrics.CHECKS.labels("postgres").inc()
        found = await self._fetch(login_id)
        if found.session is None:
            return found, Rules()
        return found, await self._rules_of([found.session.account_id, found.session.user_id])

    async def _fetch(self, login_id: UUID) -> Found:
        try:
            row = await self._pool.fetchrow(FIND, login_id)
        except AWAY:
            raise Unknown("neither memory nor the database can tell") from None
        if row is None or row["revoked"] or row["secret_hash"] is None:
            return Found(None, revoked=row is not None and row["revoked"])
        return Found(Session.of_row(dict(row)))

    async def _rules_of(self, ids: list[UUID]) -> Rules:
        rules = Rules()
        try:
            fill(rules, *[await self._pool.fetch(query, ids) for query in RULES_OF])
        except AWAY:
            raise Unknown("neither memory nor the database can tell") from None
        return rules
