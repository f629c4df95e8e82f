"""Claims, leases, results: the statements under `send`. Every result is written only while its lease holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

from services.delivery.notices import is_notice
from services.delivery.ports import Consequences, Job, LoginNow, Result
from services.delivery.postgres.groups import Group
from services.delivery.postgres.results import Results, Settled
from services.platform import outbox

JOB: Final = """d.id, d.login_id, d.channel, d.cause, d.account_id, d.user_id, d.tries, d.doubtful, d.lease, d.provider,
    d.sealed, d.sealed_event, d.sealed_cause, d.masked, d.masked_email, d.country, d.locale, d.origin,
    d.code_key_id, d.digits, d.begun_at, d.challenged_at, d.expires_at, d.recipient, d.prefixes,
    CASE d.channel WHEN 'email' THEN (SELECT l.device FROM logins l WHERE l.login_id = d.login_id) END AS device,
    (SELECT why FROM login_states s WHERE s.login_id = d.login_id) AS why, now() AS now"""
LEASE: Final = "state = 'sending', lease = $2, due_at = now() + interval '10 seconds', updated_at = now()"
# A loose index scan finds the accounts and their channels that wait: a row is read for each, whatever waits there.
QUEUES: Final = """
WITH RECURSIVE queues AS (
    (SELECT account_id, channel FROM deliveries WHERE state = 'queued' ORDER BY account_id, channel LIMIT 1)
    UNION ALL
    SELECT n.account_id, n.channel FROM queues q CROSS JOIN LATERAL (
        SELECT d.account_id, d.channel FROM deliveries d
        WHERE d.state = 'queued' AND (d.account_id, d.channel) > (q.account_id, q.channel)
        ORDER BY d.account_id, d.channel LIMIT 1
    ) n
)
"""
# Each queue is asked for its oldest rows in the order of its index, and they are taken turn by turn. A channel without
# room is passed over: what waits for a slow provider holds nobody else back. What is paused is not due.
CLAIM: Final = f"""
{QUEUES}, open AS MATERIALIZED (
    SELECT q.*, r.room FROM queues q JOIN unnest($3::text[], $4::int[]) AS r (channel, room) USING (channel)
    WHERE r.room > 0
), oldest AS MATERIALIZED (
    SELECT c.id, c.due_at, o.channel, o.room,
        row_number() OVER (PARTITION BY o.account_id, o.channel ORDER BY c.due_at) AS turn
    FROM open o CROSS JOIN LATERAL (
        SELECT d.id, d.due_at FROM deliveries d
        WHERE d.account_id = o.account_id AND d.channel = o.channel AND d.state = 'queued' AND d.due_at <= now()
        ORDER BY d.due_at LIMIT $1
    ) c
), ranked AS (
    SELECT id, turn, due_at, room, row_number() OVER (PARTITION BY channel ORDER BY turn, due_at) AS place FROM oldest
), picked AS (
    SELECT q.id FROM ranked o JOIN deliveries q USING (id)
    WHERE o.place <= o.room AND q.state || '' = 'queued' AND q.due_at <= now()
    ORDER BY o.turn, o.due_at LIMIT $1 FOR UPDATE OF q SKIP LOCKED
)
UPDATE deliveries d SET {LEASE}, tries = tries + 1 WHERE d.id IN (SELECT id FROM picked)
RETURNING {JOB}, 'queued' AS state
"""  # noqa: S608 - made of constants
# A state is compared as an expression wherever rows are found by their keys: a plan that was made while little waited
# would read all that waits by the index of the queue. The array is hidden from the planner, which else plans anew for
# each: that took as long as the update.
CLAIM_THESE: Final = f"""
UPDATE deliveries d SET {LEASE}, tries = tries + 1 WHERE d.id IN (
    SELECT d.id FROM deliveries d
    WHERE d.id = ANY((SELECT $3::uuid[])::uuid[]) AND d.state || '' = 'queued' AND d.due_at <= now()
    LIMIT $1 FOR UPDATE SKIP LOCKED
) RETURNING {JOB}, 'queued' AS state
"""  # noqa: S608
OVERDUE: Final = f"""
UPDATE deliveries d SET lease = $2, due_at = now() + interval '10 seconds', updated_at = now() WHERE d.id IN (
    SELECT id FROM deliveries WHERE state IN ('sending', 'sent') AND due_at <= now()
    ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
) RETURNING {JOB}, d.state
"""  # noqa: S608
RECEIVABLE: Final = f"SELECT {JOB}, d.state FROM deliveries d WHERE d.id = $1 AND d.state IN ('sending', 'sent')"  # noqa: S608
LOGINS_NOW: Final = """
SELECT (SELECT why FROM login_states s WHERE s.login_id = g.login_id) AS why, EXISTS (
    SELECT FROM deliveries d
    WHERE d.login_id = g.login_id AND d.channel = 'email' AND d.cause = 'fallback:' || g.cause
) AS made
FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS g (login_id, cause, n) ORDER BY n
"""
LATE: Final = """
INSERT INTO delivery_log (login_id, delivery_id, account_id, what, channel, cause, provider, reason, ms)
VALUES ($1, $2, $3, 'late_result', $4, $5, $6, $7, $8)
"""
GIVE_BACK: Final = """
UPDATE deliveries SET state = 'queued', lease = NULL, due_at = now(), tries = tries - 1, updated_at = now()
WHERE id = $1 AND lease = $2 AND state = 'sending'
"""


def job_of(row: asyncpg.Record) -> Job:
    return Job(**dict(row))


async def claim_these(connection: Any, ids: Sequence[UUID], slots: int) -> list[Job]:
    """Lease rows that were just written, by a statement of its own: a crash between the two leaves them queued."""
    if not slots or not ids:
        return []
    return [job_of(row) for row in await connection.fetch(CLAIM_THESE, slots, uuid4(), ids)]


class PostgresLedger:
    """`ports.Ledger` on asyncpg; `outbox` publishes what was committed."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], publisher: outbox.Outbox) -> None:
        self._pool, self._publisher = pool, publisher
        self._results = Results(pool)
        self._logins_now: Group[Job, LoginNow] = Group(self._read_logins)

    async def claim(self, slots: int, room: Mapping[str, int]) -> list[Job]:
        """As many as there are slots, of each channel as many as it has room for."""
        rows = await self._pool.fetch(CLAIM, slots, uuid4(), list(room), list(room.values()))
        return [job_of(row) for row in rows]

    async def overdue(self, limit: int) -> list[Job]:
        return [job_of(row) for row in await self._pool.fetch(OVERDUE, limit, uuid4())]

    async def receivable(self, delivery_id: UUID) -> Job | None:
        """A row that a receipt may come for, as it stands: sending or sent, under whatever lease."""
        row = await self._pool.fetchrow(RECEIVABLE, delivery_id)
        return job_of(row) if row else None

    async def login_now(self, job: Job) -> LoginNow:
        return await self._logins_now.add(job)

    async def settle(self, job: Job, result: Result, then: Consequences) -> bool:
        """False when the lease was lost: such a result goes to the log only."""
        held = await self.try_settle(job, result, then)
        if not held:
            await self._pool.execute(LATE, *_late(job, result))
        return held

    async def try_settle(self, job: Job, result: Result, then: Consequences) -> bool:
        """State, log line, events and the fallback's e-mail in one transaction; False when the row is another's now."""
        rows = [outbox.row_for(event, of_login=not is_notice(job)) for event in then.events]
        settled = Settled(job, result, rows, then.email)
        held = await self._results.write(settled)
        if held:
            self._publisher.publish_soon(settled.rows)
        return held

    async def give_back(self, jobs: Sequence[Job]) -> None:
        await self._pool.executemany(GIVE_BACK, [(job.id, job.lease) for job in jobs])

    async def _read_logins(self, jobs: Sequence[Job]) -> list[LoginNow]:
        asked = [job.login_id for job in jobs], [job.cause for job in jobs]
        return [LoginNow(row["why"], row["made"]) for row in await self._pool.fetch(LOGINS_NOW, *asked)]


def _late(job: Job, result: Result) -> tuple[Any, ...]:
    return (
        job.login_id,
        job.id,
        job.account_id,
        job.channel,
        job.cause,
        result.provider,
        result.reason or result.state,
        result.ms,
    )
