"""What events write: logins and ledger rows, every statement harmless when repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from services.delivery.intake import Challenge, Closing, DeadLetterRow, Floor, NotStorable
from services.delivery.ports import Held, Job
from services.delivery.postgres import erasing
from services.delivery.postgres.groups import columns
from services.delivery.postgres.guard import CONVERTED
from services.delivery.postgres.ledger import claim_these
from services.platform import metrics
from services.platform.metering import country, word

DAY: Final = timedelta(days=1)

# Logins, rows and log lines in one statement; what a worker may call at once is leased by the next one. A record whose
# key is not here could be anybody's: one that opened takes its place, unless something was sent for it.
CHALLENGES: Final = """
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::bigint[],
        $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::int[],
        $16::int[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::bytea[],
        $21::text[], $22::boolean[], $23::text[], $24::bytea[])
    AS g (id, login_id, channel, cause, account_id, user_id, account_epoch, user_epoch, sealed, masked, masked_email,
          country, locale, origin, code_key_id, digits, begun_at, challenged_at, expires_at,
          recipient, sealed_event, opened, device, prefixes)
), known AS (
    INSERT INTO logins AS l (login_id, account_id, user_id, account_epoch, user_epoch, expires_at, opened, device)
    SELECT DISTINCT ON (login_id) login_id, account_id, user_id, account_epoch, user_epoch, expires_at, opened, device
    FROM given ORDER BY login_id, opened DESC, expires_at DESC
    ON CONFLICT (login_id) DO UPDATE SET
        account_id = CASE WHEN l.opened >= excluded.opened THEN coalesce(l.account_id, excluded.account_id)
                          ELSE excluded.account_id END,
        user_id = CASE WHEN l.opened >= excluded.opened THEN coalesce(l.user_id, excluded.user_id)
                       ELSE excluded.user_id END,
        account_epoch = CASE WHEN l.opened >= excluded.opened THEN coalesce(l.account_epoch, excluded.account_epoch)
                             ELSE excluded.account_epoch END,
        user_epoch = CASE WHEN l.opened >= excluded.opened THEN coalesce(l.user_epoch, excluded.user_epoch)
                          ELSE excluded.user_epoch END,
        device = CASE WHEN l.opened >= excluded.opened THEN coalesce(l.device, excluded.device)
                      ELSE excluded.device END,
        expires_at = greatest(l.expires_at, excluded.expires_at), opened = l.opened OR excluded.opened
), made AS (
    INSERT INTO deliveries AS d (id, login_id, channel, cause, account_id, user_id, sealed, masked, masked_email,
        country, locale, origin, code_key_id, digits, begun_at, challenged_at, expires_at, recipient, state, due_at,
        sealed_event, sealed_cause, opened, prefixes)
    SELECT id, login_id, channel, cause, account_id, user_id, sealed, masked, masked_email, country, locale, origin,
        code_key_id, digits, begun_at, challenged_at, expires_at, recipient, 'queued',
        due(account_id, channel, country, expires_at), sealed_event, cause, opened, prefixes
    FROM given ORDER BY id
    ON CONFLICT (login_id, channel, cause) DO UPDATE SET
        (account_id, user_id, sealed, masked, masked_email, country, locale, origin, code_key_id, digits, begun_at,
         challenged_at, expires_at, recipient, prefixes, opened) =
        (excluded.account_id, excluded.user_id, excluded.sealed, excluded.masked, excluded.masked_email,
         excluded.country, excluded.locale, excluded.origin, excluded.code_key_id, excluded.digits, excluded.begun_at,
         excluded.challenged_at, excluded.expires_at, excluded.recipient,
         excluded.prefixes, true),
        state = CASE d.state WHEN 'sending' THEN d.state ELSE 'queued' END,
        due_at = CASE d.state WHEN 'sending' THEN d.due_at ELSE excluded.due_at END,
        tries = CASE d.state WHEN 'sending' THEN d.tries ELSE 0 END
    WHERE excluded.opened AND NOT d.opened AND d.provider IS NULL
    RETURNING id, login_id, account_id, channel, cause, due_at
), logged AS (
    INSERT INTO delivery_log (login_id, delivery_id, account_id, what, channel, cause, reason)
    SELECT login_id, id, account_id, 'queued', channel, cause, CASE WHEN due_at > now() THEN 'paused' END FROM made
)
SELECT id, channel FROM made
"""
WAKE_EMAILS: Final = """
UPDATE deliveries d SET due_at = due(d.account_id, d.channel, d.country, d.expires_at)
FROM unnest($1::uuid[], $2::text[]) e (login_id, cause)
WHERE d.login_id = e.login_id AND d.channel = 'email' AND d.cause = e.cause AND d.state || '' = 'queued' AND d.tries = 0
RETURNING d.id, d.channel
"""
# A login is closed once; what that ends is logged and looked at by the same statement.
CLOSE: Final = f"""
WITH closed AS (
    INSERT INTO logins (login_id, account_id, user_id, account_epoch, user_epoch, closed_why, closed_at, expires_at)
    SELECT *, now(), now() + interval '15 minutes' FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[],
        $5::bigint[], $6::text[])
    ORDER BY 1
    ON CONFLICT (login_id) DO UPDATE SET closed_why = excluded.closed_why, closed_at = excluded.closed_at
        WHERE logins.closed_why IS NULL
    RETURNING login_id, account_id, closed_why
), logged AS (
    INSERT INTO delivery_log (login_id, account_id, what, reason)
    SELECT login_id, account_id, 'login_closed', closed_why FROM closed c
    WHERE EXISTS (SELECT FROM deliveries d WHERE d.login_id = c.login_id)
), used AS (
    SELECT DISTINCT ON (login_id) d.channel, d.provider, d.country
    FROM closed c JOIN unnest($1::uuid[], $7::boolean[]) AS s (login_id, by_sms) USING (login_id)
        JOIN deliveries d USING (login_id)
    WHERE c.closed_why = 'verified' AND d.channel = CASE WHEN s.by_sms THEN 'sms' ELSE 'email' END
        AND d.provider IS NOT NULL
    ORDER BY login_id, d.created_at DESC
), cut AS (
    UPDATE deliveries SET due_at = now() WHERE login_id = ANY($1::uuid[]) AND state || '' = 'queued' RETURNING id
){CONVERTED}
SELECT NULL AS channel, NULL AS provider, NULL AS country, (SELECT count(*) FROM cut) AS many
UNION ALL SELECT channel, provider, country, count(*) FROM used GROUP BY 1, 2, 3
"""  # noqa: S608 - made of constants
FLOORS: Final = """
INSERT INTO floors (scope, id, floor) SELECT scope, id, max(floor)
FROM unnest($1::text[], $2::uuid[], $3::bigint[]) AS f (scope, id, floor) GROUP BY scope, id ORDER BY scope, id
ON CONFLICT (scope, id) DO UPDATE SET floor = greatest(floors.floor, excluded.floor)
"""
DEAD_LETTER: Final = """
INSERT INTO dead_letters (id, topic, partition, "offset", reason, service, key, sealed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING
"""


class PostgresIntake:
    """`ingest.Intake` on asyncpg."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], guard_window: timedelta = DAY) -> None:
        self._pool, self._guard_window = pool, guard_window.total_seconds()

    async def challenges(self, found: Sequence[Challenge], held: Held) -> list[Job]:
        """Write the rows, then lease as many as may be called. A crash between the two leaves them queued."""
        rows = list({c.id: c for c in sorted(reversed(found), key=lambda c: c.opened)}.values())
        async with self._connection() as connection:
            made = await connection.fetch(CHALLENGES, *columns(rows))
            for row in made:
                metrics.MESSAGES.labels(row["channel"]).inc()
            return await claim_these(connection, _with_room(made, held), held.slots)

    async def emails(self, found: Sequence[tuple[UUID, str]], held: Held) -> list[Job]:
        """The event has come: its row is due now, and leased if there is a slot."""
        async with self._connection() as connection:
            made = await connection.fetch(WAKE_EMAILS, *columns(found))
            return await claim_these(connection, _with_room(made, held), held.slots)

    async def closings(self, closed: Sequence[Closing], floors: Sequence[Floor]) -> bool:
        """Whether anything that waits may be cancelled by it."""
        once = {c.login_id: c for c in closed}
        async with self._connection() as connection:
            if floors:
                await connection.execute(FLOORS, *columns([floor[:3] for floor in floors]))
            if erased := [floor.id for floor in floors if floor.erased]:
                await connection.execute(erasing.REMEMBER, erased)
            if not once:
                return True
            values = (*columns(list(once.values())), self._guard_window)
            (cut,), used = _parted(await connection.fetch(CLOSE, *values))
        for row in used:
            metrics.CODES_USED.labels(row["channel"], word(row["provider"]), country(row["country"])).inc(row["many"])
        return bool(cut["many"])

    async def dead_letters(self, found: Sequence[DeadLetterRow]) -> None:
        async with self._connection() as connection:
            await connection.executemany(DEAD_LETTER, found)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """A connection whose complaint about a value is `NotStorable`: from the server, or from asyncpg before that."""
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except (ValueError, asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            raise NotStorable from None


def _parted(rows: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """What was cut short, and which codes were used."""
    return [row for row in rows if row["channel"] is None], [row for row in rows if row["channel"] is not None]


def _with_room(made: Sequence[Any], held: Held) -> list[UUID]:
    """Those of a channel that is full wait: they would be given back at once."""
    left = dict(held.room)
    found: list[UUID] = []
    for row in made:
        if left.get(row["channel"], 0) > 0:
            left[row["channel"]] -= 1
            found.append(row["id"])
    return found
