"""What became of looks at rows: those that are ready together are one statement, each by its own lease."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from services.delivery.ports import EmailRow, Job, Result
from services.delivery.postgres.groups import Group, columns
from services.delivery.states import comes_from
from services.platform.outbox import OutboxRow

# Behind a limit that it does not know the planner expects one row: each is looked for by its key. For ten, which it
# expects of an array, it read a new table as a whole, and went on so while the table grew.
# `n` says which of the results it was: of two for one row, one can hold. Rows are taken in the order in which they are
# given, which is that of ids, as ingest takes them.
SETTLING: Final = """
WITH results AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::float8[],
        $8::int[], $9::text[], $10::int[], $11::int[], $12::text[], $13::int[])
    AS g (id, lease, state, reason, provider, ref, pause, doubtful, what, ms, untried, comes_from, n)
    LIMIT cardinality($1)
), settled AS (
    UPDATE deliveries d SET state = g.state, reason = g.reason, provider = coalesce(g.provider, d.provider),
        provider_ref = coalesce(g.ref, d.provider_ref), lease = NULL, doubtful = d.doubtful + g.doubtful,
        tries = d.tries - g.untried, updated_at = now(), due_at = now() + make_interval(secs => g.pause)
    FROM results g
    WHERE d.id = g.id AND d.lease IS NOT DISTINCT FROM g.lease AND d.state = ANY(string_to_array(g.comes_from, ' '))
    RETURNING g.n, d.login_id, d.id, d.account_id, d.channel, d.cause, g.what, g.provider, g.reason, g.ms,
        d.user_id, d.locale, d.origin, d.code_key_id, d.digits, d.begun_at, d.expires_at
)
"""
# The e-mail of a fallback is made with the result that makes it due, and only then.
EMAILED: Final = """
, made AS (
    INSERT INTO deliveries (id, login_id, channel, cause, account_id, user_id, state, due_at, sealed, sealed_event,
        sealed_cause, masked, locale, origin, code_key_id, digits, begun_at, challenged_at, expires_at, recipient,
        email_off)
    SELECT e.id, d.login_id, 'email', e.cause, d.account_id, d.user_id, 'queued',
        greatest(due(d.account_id, 'email', NULL, d.expires_at), now() + interval '3 seconds'), e.sealed,
        'EmailFallbackRequested', e.cause, e.masked, d.locale, d.origin, d.code_key_id, d.digits, d.begun_at, now(),
        d.expires_at, e.recipient, e.email_off
    FROM unnest($20::int[], $21::uuid[], $22::text[], $23::text[], $24::text[], $25::bytea[], $26::boolean[])
        AS e (n, id, cause, sealed, masked, recipient, email_off) JOIN settled d USING (n)
    ORDER BY d.login_id
    ON CONFLICT (login_id, channel, cause) DO NOTHING
    RETURNING login_id, id, account_id, channel, cause
)
"""
STEPS: Final = """
SELECT 1 AS turn, login_id, id, account_id, what, channel, cause, provider, reason, ms FROM settled
"""
STEPS_WITH_EMAIL: Final = f"""{STEPS}
UNION ALL SELECT 2, login_id, id, account_id, 'queued', channel, cause, NULL, NULL, NULL FROM made
"""  # noqa: S608 - made of constants
WRITTEN: Final = """
, logged AS (
    INSERT INTO delivery_log (login_id, delivery_id, account_id, what, channel, cause, provider, reason, ms)
    SELECT login_id, id, account_id, what, channel, cause, provider, reason, ms FROM ({}) AS s ORDER BY turn
), published AS (
    INSERT INTO outbox (id, topic, key, value, headers)
    SELECT o.id, o.topic, o.key, o.value, o.headers
    FROM unnest($14::int[], $15::uuid[], $16::text[], $17::bytea[], $18::bytea[], $19::jsonb[])
        AS o (n, id, topic, key, value, headers) JOIN settled USING (n)
    ON CONFLICT (id) DO NOTHING
)
SELECT n FROM settled
"""
SETTLE: Final = SETTLING + WRITTEN.format(STEPS)
SETTLE_WITH_EMAIL: Final = SETTLING + EMAILED + WRITTEN.format(STEPS_WITH_EMAIL)


class Settled(NamedTuple):
    """A result, the events that it makes, and the e-mail."""

    job: Job
    result: Result
    rows: Sequence[OutboxRow]
    email: EmailRow | None


class Results:
    """State, log line, events and e-mail of each result; False for one whose row is another's now."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._group: Group[Settled, bool] = Group(self._all)

    async def write(self, one: Settled) -> bool:
        return await self._group.add(one)

    async def _all(self, found: Sequence[Settled]) -> list[bool]:
        by_id = sorted(enumerate(found), key=lambda numbered: numbered[1].job.id)
        values = columns([_values(n, one) for n, one in by_id], 13)
        values += columns([(n, *row) for n, one in by_id for row in one.rows], 6)
        if emails := [(n, *_email(one.email)) for n, one in by_id if one.email is not None]:
            held = await self._pool.fetch(SETTLE_WITH_EMAIL, *values, *columns(emails, 7))
        else:
            held = await self._pool.fetch(SETTLE, *values)
        numbers = {row["n"] for row in held}
        return [n in numbers for n in range(len(found))]


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
