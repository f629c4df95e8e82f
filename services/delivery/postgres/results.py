"""What became of looks at rows: those that are ready together are one statement, each by its own lease."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from services.delivery.ports import EmailRow, Job, Result
from services.delivery.postgres.groups import Group
from services.delivery.states import comes_from
from services.platform.outbox import OutboxRow

# `n` says which of the results it was: of two for one row, one can hold. Rows are taken in the order in which they are
# given, which is that of ids, as ingest takes them.
SETTLE: Final = """
WITH results AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::float8[],
        $8::int[], $9::text[], $10::int[], $11::int[], $12::text[], $13::int[])
    AS g (id, lease, state, reason, provider, ref, pause, doubtful, what, ms, untried, comes_from, n)
), settled AS (
    UPDATE deliveries d SET state = g.state, reason = g.reason, provider = coalesce(g.provider, d.provider),
        provider_ref = coalesce(g.ref, d.provider_ref), lease = NULL, doubtful = d.doubtful + g.doubtful,
        tries = d.tries - g.untried, updated_at = now(), due_at = now() + make_interval(secs => g.pause)
    FROM results g
    WHERE d.id = g.id AND d.lease IS NOT DISTINCT FROM g.lease AND d.state = ANY(string_to_array(g.comes_from, ' '))
    RETURNING g.n, d.login_id, d.id, d.account_id, d.channel, d.cause, g.what, g.provider, g.reason, g.ms
), logged AS (
    INSERT INTO delivery_log (login_id, delivery_id, account_id, what, channel, cause, provider, reason, ms)
    SELECT login_id, id, account_id, what, channel, cause, provider, reason, ms FROM settled
), published AS (
    INSERT INTO outbox (id, topic, key, value, headers)
    SELECT o.id, o.topic, o.key, o.value, o.headers
    FROM unnest($14::int[], $15::uuid[], $16::text[], $17::bytea[], $18::bytea[], $19::jsonb[])
        AS o (n, id, topic, key, value, headers) JOIN settled USING (n)
    ON CONFLICT (id) DO NOTHING
)
SELECT n FROM settled
"""
EMAIL: Final = """
WITH made AS (INSERT INTO deliveries (id, login_id, channel, cause, account_id, user_id, state, due_at, sealed,
    sealed_event, sealed_cause, masked, locale, origin, code_key_id, digits, begun_at, challenged_at, expires_at,
    recipient, email_off)
SELECT $2, login_id, 'email', $3, account_id, user_id, 'queued',
    greatest(due(account_id, 'email', NULL, expires_at), now() + interval '3 seconds'), $4,
    'EmailFallbackRequested', $3, $5, locale, origin, code_key_id, digits, begun_at, now(), expires_at, $6, $7
FROM deliveries WHERE id = $1 ON CONFLICT (login_id, channel, cause) DO NOTHING
RETURNING login_id, id, account_id, channel, cause)
INSERT INTO delivery_log (login_id, delivery_id, account_id, what, channel, cause)
SELECT login_id, id, account_id, 'queued', channel, cause FROM made
"""


class Settled(NamedTuple):
    """A result and the events that it makes."""

    job: Job
    result: Result
    rows: Sequence[OutboxRow]


class Results:
    """State, log line and events of each result; False for one whose row is another's now."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._group: Group[Settled, bool] = Group(self._all)

    async def write(self, one: Settled) -> bool:
        return await self._group.add(one)

    async def write_with_email(self, one: Settled, email: EmailRow) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            (held,) = await _settle(connection, [one])
            if held:
                await connection.execute(EMAIL, one.job.id, *_email(email))
        return held

    async def _all(self, found: Sequence[Settled]) -> list[bool]:
        return await _settle(self._pool, found)


async def _settle(connection: Any, found: Sequence[Settled]) -> list[bool]:
    by_id = sorted(enumerate(found), key=lambda numbered: numbered[1].job.id)
    columns = [list(column) for column in zip(*(_values(n, one) for n, one in by_id), strict=True)]
    events = [(n, *row) for n, one in by_id for row in one.rows]
    event_columns = [list(column) for column in zip(*events, strict=True)] if events else [[]] * 6
    held = {row["n"] for row in await connection.fetch(SETTLE, *columns, *event_columns)}
    return [n in held for n in range(len(found))]


def _values(n: int, one: Settled) -> tuple[Any, ...]:
    job, result = one.job, one.result
    what = result.log or ("doubted" if result.doubtful else result.state)
    return (
        job.id,
        job.lease,
        result.state,
        result.reason,
        result.provider,
        result.ref,
        result.pause,
        int(result.doubtful),
        what,
        result.ms,
        int(result.untried),
        " ".join(comes_from(result.state)),
        n,
    )


def _email(email: EmailRow) -> tuple[Any, ...]:
    return email.id, email.cause, email.sealed, email.masked, email.recipient, email.email_off
