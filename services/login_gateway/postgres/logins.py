"""Statements about logins. Locks are taken in one order: the user's guard, then the login."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

FIND_USER: Final = """
SELECT u.*, a.name AS account_name, a.state AS account_state, a.epoch AS account_epoch, a.code_digits, a.code_seconds,
       a.session_seconds,
       coalesce(greatest(a.long_codes_until, g.long_codes_until, (SELECT long_codes_until FROM installation)) > now(),
                false) AS long_codes,
       g.locked_at, now() AS at
FROM accounts a JOIN users u USING (account_id) JOIN user_guard g USING (user_id)
"""
BY_USERNAME: Final = FIND_USER + " WHERE a.account_id = $1 AND u.username_key = $2"
BY_ID: Final = FIND_USER + " WHERE a.account_id = $1 AND (u.user_id = $2 OR u.external_id = $3)"
ACCOUNT: Final = "SELECT account_id FROM accounts WHERE name = $1 OR account_id::text = $1"
ONLY_ACCOUNT: Final = "SELECT account_id FROM accounts LIMIT 2"
OPEN: Final = """
INSERT INTO logins (login_id, account_id, user_id, state, audience, digits, salt, code_key_id, channels, masked,
                    auth_time, expires_at, account_epoch, user_epoch, device, context, fed_by, reference, created_at,
                    factors, delivery)
SELECT $1, $2, $3, 'pending', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
FROM users WHERE user_id = $3 AND phone_hash IS NOT DISTINCT FROM $21 AND email_hash IS NOT DISTINCT FROM $22
FOR SHARE
RETURNING true
"""
OPEN_VERIFIED: Final = """
INSERT INTO logins (login_id, account_id, user_id, state, audience, digits, salt, code_key_id, channels, auth_time,
                    expires_at, account_epoch, user_epoch, device, issued_at, mint_key_id, ended_at, fed_by, reference)
VALUES ($1, $2, $3, 'verified', $4, 0, '', 0, '{}', $5, $6, $7, $8, $9, $10, $11, now(), $12, $13)
"""
IDEMPOTENT: Final = """
INSERT INTO idempotency (user_id, key, body_mac, login_id, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (user_id, key) DO UPDATE
SET body_mac = excluded.body_mac, login_id = excluded.login_id, expires_at = excluded.expires_at
WHERE idempotency.expires_at <= now()
RETURNING true
"""
SAME_KEY: Final = "SELECT body_mac, login_id FROM idempotency WHERE user_id = $1 AND key = $2 AND expires_at > now()"

# Counted before compared, in two statements: the guard's row is locked first, so parallel guesses of one user queue up
# there and each sees the login as the one before left it. (As one statement with a CTE PostgreSQL 18 fails with
# "ModifyTable should not be called during EvalPlanQual" once two guesses meet.)
COUNT_GUESS: Final = """
UPDATE user_guard g
SET wrong_at = ARRAY(SELECT w FROM unnest(g.wrong_at) w WHERE w > now() - interval '1 day') || now(),
    wrong_total = g.wrong_total + 1
FROM logins l
WHERE l.login_id = $1 AND g.user_id = l.user_id AND g.locked_at IS NULL AND g.wrong_total < $4
  AND (SELECT count(*) FROM unnest(g.wrong_at) w WHERE w > now() - interval '15 minutes') < $2
  AND (SELECT count(*) FROM unnest(g.wrong_at) w WHERE w > now() - interval '1 day') < $3
RETURNING g.wrong_total, cardinality(g.wrong_at) AS wrong_today, g.long_codes_until > now() AS long_codes
"""
COUNT_TRY: Final = """
UPDATE logins l SET attempts = attempts + 1
FROM users u, accounts a
WHERE l.login_id = $1 AND u.user_id = l.user_id AND a.account_id = l.account_id
  AND l.state = 'pending' AND l.attempts < $2 AND l.expires_at > now()
  AND u.epoch = l.user_epoch AND a.epoch = l.account_epoch
RETURNING l.*, u.role, u.claims, a.session_seconds, now() AS counted_at
"""
CLOSE_VERIFIED: Final = """
UPDATE logins SET state = 'verified', ended_at = now(), issued_at = $2, mint_key_id = $3, channel = $4, verify_key = $5
WHERE login_id = $1
"""
END_REPETITION: Final = "UPDATE logins SET verify_key = NULL WHERE login_id = $1"
TAKE_BACK: Final = "UPDATE user_guard SET wrong_at = trim_array(wrong_at, 1), wrong_total = 0 WHERE user_id = $1"
LOCK: Final = """
UPDATE user_guard g SET locked_at = now(),
    noticed_at = CASE WHEN old.noticed_at > now() - interval '1 day' THEN old.noticed_at ELSE now() END
FROM user_guard old WHERE g.user_id = $1 AND old.user_id = g.user_id AND g.locked_at IS NULL
RETURNING g.noticed_at = now() AS tell
"""
LONG_CODES: Final = "UPDATE user_guard SET long_codes_until = now() + interval '30 days' WHERE user_id = $1"
CLOSE: Final = """
UPDATE logins SET state = 'closed', closed_why = $2, ended_at = now() WHERE login_id = $1 AND state = 'pending'
RETURNING login_id, account_id, user_id, reference
"""
CLOSE_MANY: Final = """
UPDATE logins SET state = 'closed', closed_why = $2, ended_at = now()
WHERE login_id IN (SELECT login_id FROM logins WHERE state = 'pending' AND {which} LIMIT 500 FOR UPDATE SKIP LOCKED)
RETURNING login_id, account_id, user_id, reference
"""
# A user's logins are few, and not one may be passed over because something else is writing to it just now.
CLOSE_OF_USER: Final = """
UPDATE logins SET state = 'closed', closed_why = $2, ended_at = now()
WHERE login_id IN (
    SELECT login_id FROM logins WHERE state = 'pending' AND user_id = $1 ORDER BY login_id FOR NO KEY UPDATE
)
RETURNING login_id, account_id, user_id, reference
"""
GET: Final = """
SELECT l.*, u.role, u.claims, u.sms_on, u.email_on, u.epoch AS now_user_epoch, a.epoch AS now_account_epoch,
       u.phone, u.phone_hash, u.email, u.email_hash, u.phone_country, u.locale, g.locked_at, a.session_seconds,
       (SELECT count(*) FROM unnest(g.wrong_at) w WHERE w > now() - interval '15 minutes') AS wrong_lately,
       now() AS at
FROM logins l
JOIN users u USING (user_id) JOIN user_guard g USING (user_id) JOIN accounts a ON a.account_id = l.account_id
WHERE login_id = $1
"""
COUNT_SEND: Final = """
UPDATE logins SET sends = sends + 1, last_send_at = now(),
    delivery = delivery || jsonb_build_object(
        $3::text, jsonb_build_object('state', 'queued', 'cause', 'resend:' || sends, 'at', now()))
WHERE login_id = $1 AND state = 'pending' AND expires_at > now() AND sends = $2 RETURNING sends
"""
# The latest word stands, whatever came last: an outcome that the sweeper sent is late. Only a `queued` gives way to any
# word about the same message: the gateway wrote it by its own clock.
SET_DELIVERY: Final = """
UPDATE logins SET delivery = delivery || jsonb_build_object($2::text, $3::jsonb)
WHERE login_id = $1 AND (
    delivery -> $2 IS NULL
    OR delivery -> $2 @> jsonb_build_object('state', 'queued', 'cause', $3::jsonb -> 'cause')
    OR (delivery -> $2 ->> 'at')::timestamptz <= ($3::jsonb ->> 'at')::timestamptz
)
"""


Row = Mapping[str, Any]


def queued(channel: str, at: datetime) -> dict[str, dict[str, str]]:
    """What `logins.delivery` says before delivery does."""
    return {channel: {"state": "queued", "cause": "login", "at": at.astimezone(UTC).isoformat()}}


def _dict(row: asyncpg.Record | None) -> Row | None:
    return None if row is None else dict(row)


class Logins:
    """Reads; the writes that belong together are in `login.py` and `verify.py`, on a connection of their own."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool

    async def account_id(self, name: str | None) -> UUID | None:
        """By name or id; without one, the only account there is."""
        if name is not None:
            found: UUID | None = await self.pool.fetchval(ACCOUNT, name)
            return found
        rows = await self.pool.fetch(ONLY_ACCOUNT)
        return rows[0]["account_id"] if len(rows) == 1 else None

    async def user(self, account_id: UUID, username_key: str) -> Row | None:
        return _dict(await self.pool.fetchrow(BY_USERNAME, account_id, username_key))

    async def get(self, login_id: UUID) -> Row | None:
        return _dict(await self.pool.fetchrow(GET, login_id))

    async def same_key(self, user_id: UUID, key: bytes) -> asyncpg.Record | None:
        return await self.pool.fetchrow(SAME_KEY, user_id, key)


async def close_of_user(connection: Any, why: str, user_id: UUID) -> list[Any]:
    """Close all pending logins of a user, waiting for whoever is writing to one."""
    return list(await connection.fetch(CLOSE_OF_USER, user_id, why))


async def close_many(connection: Any, why: str, which: str, value: Any) -> list[Any]:
    """Close pending logins where `which` (a condition over `$1`); at most 500 at a time."""
    return list(await connection.fetch(CLOSE_MANY.format(which=which), value, why))
