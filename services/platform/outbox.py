"""State and event are one transaction: rows are published right after the commit, the sweeper sends what was left."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import structlog

from schemas import codec, topics
from schemas.events import Event
from services.platform import metrics
from services.platform.kafka import BrokerAway, Producer, Refused
from services.platform.keys.grants import Signer
from services.platform.postgres import AWAY
from services.platform.tracing import HEADER, TRACES, About, place_in

log = structlog.get_logger()

INSERT: Final = """
INSERT INTO outbox (id, topic, key, value, headers)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::jsonb[])
ON CONFLICT (id) DO NOTHING
"""
CLAIM: Final = """
UPDATE outbox SET tries = tries + 1, due_at = now() + interval '15 seconds'
WHERE id IN (
    SELECT id FROM outbox WHERE parked IS NULL AND due_at <= now() ORDER BY due_at, seq LIMIT $1 FOR UPDATE SKIP LOCKED
) RETURNING id, topic, key, value, headers, seq
"""
# A process that cannot reach Kafka gives back what it took: another one may.
GIVE_BACK: Final = """
UPDATE outbox SET due_at = now() + random() * interval '1 second' WHERE id = ANY($1::uuid[]) AND parked IS NULL
"""
# The oldest is among the first that are due: only a few at the front were tried and put off.
STANDING: Final = """
SELECT (SELECT count(*) FROM (SELECT FROM outbox WHERE parked IS NULL LIMIT 10000) w) AS waiting,
    coalesce(extract(epoch FROM now() - (SELECT min(made_at) FROM (
        SELECT made_at FROM outbox WHERE parked IS NULL ORDER BY due_at, seq LIMIT 200) f)), 0)::float8
        AS oldest_seconds,
    (SELECT count(*) FROM (SELECT FROM outbox WHERE parked IS NOT NULL LIMIT 10000) p) AS parked
"""
SWEEP_SECONDS: Final = 1.0
LONGEST_PAUSE: Final = 10.0
BATCH: Final = 200
FIRST_ROAD_SECONDS: Final = 1.0

SecondRoad = Callable[["OutboxRow"], Awaitable[bool]]


class OutboxRow(NamedTuple):
    """One event, encoded (and signed where the contract says so). `headers` are base64url."""

    id: UUID
    topic: str
    key: bytes
    value: bytes
    headers: dict[str, str]

    def kafka_headers(self) -> list[tuple[str, bytes]]:
        return [(name, base64.urlsafe_b64decode(value)) for name, value in self.headers.items()]


async def standing(connection: Any) -> dict[str, Any]:
    """`waiting` and `parked` events, up to 10,000, and for how many seconds the oldest has waited."""
    return dict(await connection.fetchrow(STANDING))


async def measure(connection: Any) -> None:
    """The same, for a scrape."""
    tell(**await standing(connection))


def tell(waiting: int, oldest_seconds: float, parked: int) -> None:
    metrics.OUTBOX_WAITING.set(waiting)
    metrics.OUTBOX_OLDEST_SECONDS.set(oldest_seconds)
    metrics.OUTBOX_PARKED.set(parked)


def row_for(event: Event, signer: Signer | None = None, of_login: bool = True) -> OutboxRow:
    """Encode an event for its topic; events of the signed kinds need the signer. In no trace is what is no step of a
    login: a session's end, and a notice, which only names itself as if it were one.
    """
    topic, key, value = topics.topic_of(event).name, topics.key_of(event), codec.encode(event)
    headers = {}
    if topics.is_signed(event):
        if signer is None:
            raise TypeError(f"{type(event).__name__} must be signed")
        signature = signer.sign(topic, key, value)
        headers[topics.SIGNATURE_HEADER] = base64.urlsafe_b64encode(signature).decode()
    if TRACES.on and of_login and event.login_id and (parent := TRACES.header(UUID(event.login_id))):
        headers[HEADER] = base64.urlsafe_b64encode(parent).decode()
    return OutboxRow(UUID(event.id), topic, key, value, headers)


def columns(rows: Sequence[OutboxRow]) -> tuple[list[Any], ...]:
    """The rows as the five arrays that `INSERT` takes."""
    return tuple([list(column) for column in zip(*rows, strict=True)]) if rows else ([], [], [], [], [])


async def insert(connection: Any, rows: Sequence[OutboxRow]) -> None:
    """Add rows in the caller's transaction; call `Outbox.publish_soon` after its commit."""
    if rows:
        await connection.execute(INSERT, *columns(rows))


class Outbox:
    """Publishes rows and deletes what the broker has. `second_road` is tried when Kafka is silent for a second."""

    def __init__(
        self, pool: asyncpg.Pool[asyncpg.Record], producer: Producer, second_road: SecondRoad | None = None
    ) -> None:
        self._pool = pool
        self._producer = producer
        self._second_road = second_road
        self._tasks: set[asyncio.Task[bool]] = set()
        self._done: list[UUID] = []
        self._answered = False
        self._something_done = asyncio.Event()

    def publish_soon(self, rows: Iterable[OutboxRow]) -> list[asyncio.Task[bool]]:
        """Start publishing after the commit; each task says whether the event took effect by either road."""
        return [self._start(row) for row in rows]

    async def effective(self, rows: Iterable[OutboxRow]) -> str:
        """`now` when every session event was taken by Kafka or by the second road, else `queued`."""
        rows = list(rows)
        tasks = zip(rows, self.publish_soon(rows), strict=True)
        took = await asyncio.gather(*(task for row, task in tasks if row.topic == topics.SESSION_EVENTS.name))
        return "now" if all(took) else "queued"

    async def run(self) -> None:
        """The sweeper and the deleter, until cancelled; what is done at that moment is still deleted."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep())
            group.create_task(self._delete())

    async def drain(self, timeout: float = 5.0) -> None:
        """Before a stop: wait for what is on its way, then delete what was taken."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        await self._delete_done()

    def _start(self, row: OutboxRow) -> asyncio.Task[bool]:
        task = asyncio.get_running_loop().create_task(self._publish(row))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _publish(self, row: OutboxRow) -> bool:
        if self._second_road is None or row.topic != topics.SESSION_EVENTS.name:
            return await self._send(row)
        first = asyncio.create_task(self._send(row))
        done, _ = await asyncio.wait({first}, timeout=FIRST_ROAD_SECONDS)
        if done and first.result():
            return True
        took = await self._second_road(row)
        return took or await first

    async def _send(self, row: OutboxRow) -> bool:
        began = time.monotonic()
        try:
            await self._producer.send(row.topic, row.key, row.value, row.kafka_headers())
        except Refused as refused:
            self._answered = True  # it was asked and said no: the next row need not wait
            _tell_sent(row, began, str(refused))
            await self._park(row, str(refused))
            return False
        except BrokerAway as away:
            log.warning("event_not_published", event_id=str(row.id), topic=row.topic, reason=str(away))
            metrics.PUBLISH_FAILED.labels(row.topic).inc()
            _tell_sent(row, began, str(away))
            return False
        self._done.append(row.id)
        self._answered = True
        self._something_done.set()
        metrics.PUBLISHED.labels(row.topic).inc()
        _tell_sent(row, began)
        return True

    async def _park(self, row: OutboxRow, reason: str) -> None:
        log.error("event_parked", event_id=str(row.id), topic=row.topic, reason=reason)
        metrics.PARKED.labels(row.topic).inc()
        await self._pool.execute("UPDATE outbox SET parked = $2 WHERE id = $1", row.id, reason)

    async def _delete(self) -> None:
        while True:
            await self._something_done.wait()
            await asyncio.sleep(0.05)
            self._something_done.clear()
            await self._delete_done()

    async def _delete_done(self) -> None:
        done, self._done = self._done, []
        if not done:
            return
        try:
            await self._pool.execute("DELETE FROM outbox WHERE id = ANY($1::uuid[])", done)
        except AWAY as away:
            log.warning("outbox_not_cleaned", rows=len(done), error=type(away).__name__)

    async def _sweep(self) -> None:
        """While a probe fails, only the oldest row is tried, ever more seldom: a healthy process is there first."""
        pause = SWEEP_SECONDS
        while True:
            limit = BATCH if pause == SWEEP_SECONDS else 1
            taken = await self._swept(limit)
            pause = SWEEP_SECONDS if all(taken) or self._kafka_answered() else min(pause * 2, LONGEST_PAUSE)
            if len(taken) < BATCH:
                await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - no secret

    def _kafka_answered(self) -> bool:
        """Whether a send was acknowledged since the last look."""
        answered, self._answered = self._answered, False
        return answered

    async def _swept(self, limit: int) -> list[bool]:
        try:
            return await self._sweep_once(limit)
        except AWAY as away:
            log.warning("outbox_sweep_failed", error=type(away).__name__)
            return []

    async def _sweep_once(self, limit: int) -> list[bool]:
        """Claim in a statement of its own, then publish: no lock is held while Kafka is asked."""
        found = await self._pool.fetch(CLAIM, limit)
        rows = [OutboxRow(*tuple(row)[:5]) for row in sorted(found, key=lambda r: r["seq"])]
        taken = await asyncio.gather(*(self._send(row) for row in rows))
        if left := [row.id for row, took in zip(rows, taken, strict=True) if not took]:
            await self._pool.execute(GIVE_BACK, left)
        return taken


def _tell_sent(row: OutboxRow, began: float, trouble: str | None = None) -> None:
    """In the trace that the row names, which another process may have written."""
    if not TRACES.on or HEADER not in row.headers:
        return
    place = place_in(base64.urlsafe_b64decode(row.headers[HEADER]).decode())
    if place is None:
        return
    about: About = {"topic": row.topic} if trouble is None else {"topic": row.topic, "reason": trouble}
    TRACES.tell("publish", UUID(int=place.trace), time.monotonic() - began, failed=trouble is not None, **about)
