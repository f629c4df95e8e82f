"""Live sessions of an account or user as SQL; the rule is `Rules.lets_live`, and a test holds the two together."""

from __future__ import annotations

import time
from typing import Final
from uuid import UUID

import asyncpg

from services.session_store.memory import Session
from services.session_store.policy import GATEPOST_SECONDS, USUAL_SECONDS

LIVE: Final = """
WITH lengths AS (
    SELECT '-infinity'::timestamptz AS since, $3::int AS max_age
    UNION ALL SELECT effective_at, max_age FROM policies WHERE account_id = $1
), timeline AS (
    SELECT since, max_age * interval '1 second' AS length, lead(since, 1, 'infinity') OVER (ORDER BY since) AS until
    FROM lengths
), live AS (
    SELECT s.* FROM sessions s
    LEFT JOIN revocations r USING (login_id)
    LEFT JOIN floors a ON a.scope = 'account' AND a.id = s.account_id
    LEFT JOIN floors u ON u.scope = 'user' AND u.id = s.user_id
    WHERE s.account_id = $1 AND ($2::uuid IS NULL OR s.user_id = $2) AND r.login_id IS NULL
      AND s.account_epoch >= coalesce(a.floor, 0) AND s.user_epoch >= coalesce(u.floor, 0)
      AND (s.aud <> 'gatepost' OR s.issued_at + $4::int * interval '1 second' > clock_timestamp())
      AND NOT EXISTS (
          SELECT FROM timeline t WHERE t.until > s.issued_at
          AND greatest(s.issued_at, t.since, s.issued_at + t.length) < t.until
          AND greatest(s.issued_at, t.since, s.issued_at + t.length) <= clock_timestamp())
)
"""
PAGE: Final = (
    LIVE
    + """
SELECT * FROM live WHERE $5::uuid IS NULL OR login_id < $5 ORDER BY login_id DESC LIMIT $6
"""
)
BY_AGE: Final = (
    LIVE
    + """
SELECT count(*) FILTER (WHERE issued_at > now() - interval '1 day') AS day,
       count(*) FILTER (WHERE issued_at > now() - interval '7 days') AS week,
       count(*) FILTER (WHERE issued_at > now() - interval '30 days') AS month, count(*) AS all
FROM live
"""
)
COUNT: Final = (
    LIVE
    + """
SELECT count(*) FROM (
    SELECT FROM live
    WHERE $5::int = 0 OR (login_id < $6 AND issued_at <= clock_timestamp() - $5::int * interval '1 second') LIMIT $7
) AS found
"""
)
MOST: Final = 100_000
"""What is counted costs time; beyond this the number is only said to be larger."""
CLOCKS: Final = 3600
"""Seconds by which the clocks of those who mint login_ids may be ahead."""
LENGTHS: Final = (USUAL_SECONDS, GATEPOST_SECONDS)


async def page(
    pool: asyncpg.Pool[asyncpg.Record], account: UUID, user: UUID | None, before: UUID | None, limit: int
) -> list[Session]:
    """Newest first; `before` is the last login_id of the page before."""
    rows = await pool.fetch(PAGE, account, user, *LENGTHS, before, limit)
    return [Session.of_row(dict(row)) for row in rows]


async def by_age(pool: asyncpg.Pool[asyncpg.Record], account: UUID, user: UUID | None) -> dict[str, int]:
    """How many live sessions began within a day, a week, a month, and in all. Its cost grows with their number."""
    return dict(await pool.fetchrow(BY_AGE, account, user, *LENGTHS) or {})


async def count(
    pool: asyncpg.Pool[asyncpg.Record], account: UUID, user: UUID | None, older_than: int
) -> tuple[int, bool]:
    """How many live sessions were opened more than `older_than` seconds ago: what a length of so many would end.

    And whether there are more than that.
    """
    before = first_after(time.time() - older_than + CLOCKS)
    found: int = await pool.fetchval(COUNT, account, user, *LENGTHS, older_than, before, MOST + 1)
    return min(found, MOST), found > MOST


def first_after(at: float) -> UUID:
    """The least UUIDv7 of that moment (RFC 9562, section 5.7): a session's login was begun before it was opened, so no
    older one has a greater login_id.
    """
    return UUID(int=(max(0, int(at * 1000)) << 80) | (0x7 << 76) | (0x2 << 62))
