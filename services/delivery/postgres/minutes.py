"""`figures.Minutes` on asyncpg: the log, added up by the minute; what is too new for that is read from the log."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import asyncpg

from services.delivery.figures import GROWTH, Read, Sum
from services.delivery.vendor_errors import RECIPIENTS_OWN

# Ids are given before commits. No statement takes longer than ten seconds: what is older than this is all there.
SETTLED: Final = "interval '20 seconds'"
KEPT: Final = "interval '2 days'"
UNREAD_AT_MOST: Final = 200_000
CALL: Final = "l.ms IS NOT NULL AND l.provider IS NOT NULL"
OF_NUMBER: Final = "split_part(l.reason, ':', 1) = ANY($2::text[])"
# What operators hold back waits for it again and again.
FIRST: Final = """(l.reason IS NULL OR l.reason = 'paused' AND NOT EXISTS (
    SELECT FROM delivery_log e WHERE e.login_id = l.login_id AND e.delivery_id = l.delivery_id AND e.id < l.id))"""
# A line may say two things: that a call was refused, and that the message is lost by it.
WORDS: Final = f"""
CROSS JOIN LATERAL (VALUES
    (CASE WHEN l.what IN ('queued', 'replayed') AND l.provider IS NULL AND l.ms IS NULL AND {FIRST} THEN 'made'
          WHEN {CALL} AND l.what IN ('sent', 'delivered') THEN 'taken'
          WHEN {CALL} AND {OF_NUMBER} THEN 'wrong_number'
          WHEN {CALL} AND l.what <> 'late_result' THEN 'refused'
          WHEN l.reason = 'no-receipt' THEN 'no_receipt'
          WHEN l.what = 'delivered' THEN 'arrived'
          WHEN l.what = 'undelivered' THEN 'not_arrived' END),
    (CASE WHEN l.what IN ('failed', 'undelivered', 'unknown', 'expired') THEN 'lost' END)
) AS w (word)
"""
BUCKET: Final = f"""
CASE WHEN w.word IN ('taken', 'refused', 'wrong_number')
     THEN least(60, greatest(1, ceil(ln(greatest(l.ms, 1)) / ln({GROWTH}))))::smallint ELSE 0 END
"""
COUNTED: Final = f"""
SELECT {{at}} AS at, l.channel, coalesce(l.provider, '') AS provider, w.word AS what, {BUCKET} AS bucket,
    count(*) AS many
FROM {{lines}} l {WORDS} WHERE w.word IS NOT NULL AND l.channel IS NOT NULL GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 - made of constants
LINES: Final = """
SELECT id, at, login_id, delivery_id, channel, provider, what, reason, ms FROM delivery_log d
WHERE id > place.last_id ORDER BY id LIMIT $1
"""
ADD: Final = f"""
WITH place AS MATERIALIZED (
    SELECT last_id FROM delivery_minutes_place FOR UPDATE SKIP LOCKED
), lines AS MATERIALIZED (
    SELECT l.* FROM place CROSS JOIN LATERAL ({LINES}) l
), settled AS MATERIALIZED (
    SELECT * FROM lines
    WHERE id < (SELECT coalesce(min(id) FILTER (WHERE at > now() - {SETTLED}), max(id) + 1) FROM lines)
), added AS (
    INSERT INTO delivery_minutes AS m (minute, channel, provider, what, bucket, many)
    {COUNTED.format(at="date_trunc('minute', l.at)", lines="settled")}
    ON CONFLICT (minute, channel, provider, what, bucket) DO UPDATE SET many = m.many + excluded.many
), moved AS (
    UPDATE delivery_minutes_place SET last_id = s.last_id
    FROM (SELECT max(id) AS last_id FROM settled) s WHERE s.last_id IS NOT NULL
)
SELECT count(*) FROM settled
"""  # noqa: S608
SINCE: Final = "date_bin($3, now() - $4::interval, 'epoch')"
READ: Final = f"""
SELECT date_bin($3, minute, 'epoch') AS at, channel, provider, what, bucket, sum(many)::bigint AS many
FROM delivery_minutes WHERE minute >= {SINCE} GROUP BY 1, 2, 3, 4, 5
UNION ALL
{COUNTED.format(at="date_bin($3, l.at, 'epoch')", lines=f"delivery_minutes_place place CROSS JOIN LATERAL ({LINES})")}
"""  # noqa: S608
TIDY: Final = f"DELETE FROM delivery_minutes WHERE minute < now() - {KEPT}"  # noqa: S608


class PostgresMinutes:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._faults = sorted(RECIPIENTS_OWN)

    async def add(self, most: int) -> bool:
        return int(await self._pool.fetchval(ADD, most, self._faults)) == most

    async def read(self, length: timedelta, step: timedelta) -> Read:
        """One snapshot: a line is in the minutes or beyond them, never in both."""
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            until = await connection.fetchval("SELECT now()")
            rows = await connection.fetch(READ, UNREAD_AT_MOST, self._faults, step, length)
        return Read(until, [Sum(*row) for row in rows])

    async def tidy(self) -> None:
        await self._pool.execute(TIDY)
