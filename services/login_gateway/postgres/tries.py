"""A code is tried: one short transaction that counts before it compares. Locks: the user's guard, then the login."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import asyncpg

from services.login_gateway.ports import Right, Row, Tried, TryLimits, Wrong
from services.login_gateway.postgres import feeds
from services.platform.outbox import OutboxRow, columns, insert

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
#
# A state is compared as an expression wherever a row is found by its key: a plan that was made while few logins waited
# would read all of them by the index of those that wait.
COUNT_TRY: Final = """
UPDATE logins l SET attempts = attempts + 1
FROM users u, accounts a
WHERE l.login_id = $1 AND u.user_id = l.user_id AND a.account_id = l.account_id
  AND l.state || '' = 'pending' AND l.attempts < $2 AND l.expires_at > now()
  AND u.epoch = l.user_epoch AND a.epoch = l.account_epoch
RETURNING l.*, u.role, u.claims, a.session_seconds, now() AS counted_at
"""
# What a right code does: the login is over, its user's count is taken back, its event goes out.
FINISH: Final = """
WITH finished AS (
    UPDATE logins SET state = 'verified', ended_at = now(), issued_at = $2, mint_key_id = $3, channel = $4,
        verify_key = $5
    WHERE login_id = $1
), taken_back AS (
    UPDATE user_guard SET wrong_at = trim_array(wrong_at, 1), wrong_total = 0 WHERE user_id = $6
)
INSERT INTO outbox (id, topic, key, value, headers)
SELECT * FROM unnest($7::uuid[], $8::text[], $9::bytea[], $10::bytea[], $11::jsonb[]) ON CONFLICT (id) DO NOTHING
"""
LOCK: Final = """
UPDATE user_guard g SET locked_at = now(),
    noticed_at = CASE WHEN old.noticed_at > now() - interval '1 day' THEN old.noticed_at ELSE now() END
FROM user_guard old WHERE g.user_id = $1 AND old.user_id = g.user_id AND g.locked_at IS NULL
RETURNING g.noticed_at = now() AS tell
"""
LONG_CODES: Final = "UPDATE user_guard SET long_codes_until = now() + interval '30 days' WHERE user_id = $1"
CLOSE: Final = """
UPDATE logins SET state = 'closed', closed_why = $2, ended_at = now() WHERE login_id = $1 AND state || '' = 'pending'
RETURNING login_id, account_id, user_id, reference
"""
CONTACTS_OF: Final = "SELECT account_id, user_id, phone, email, locale FROM users WHERE user_id = $1"


async def try_code(
    pool: asyncpg.Pool[asyncpg.Record], login_id: UUID, most: TryLimits, judge: Callable[[Row], Right | Wrong]
) -> Tried | None:
    """Count one try, judge it, and write what follows; None, and nothing counted, when the login takes no try."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            login = await _count(connection, login_id, most)
            tried = await _judged(connection, login, judge(login)) if login is not None else None
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.commit() if tried is not None else transaction.rollback())
        return tried


async def _count(connection: Any, login_id: UUID, most: TryLimits) -> Row | None:
    """Count one guess for the user and the login; None when a limit or the login's state forbids it."""
    guard = await connection.fetchrow(COUNT_GUESS, login_id, most.quarter, most.day, most.in_a_row)
    login = None if guard is None else await connection.fetchrow(COUNT_TRY, login_id, most.login)
    return None if login is None else {**dict(login), **dict(guard)}


async def _judged(connection: Any, login: Row, judged: Right | Wrong) -> Tried:
    if isinstance(judged, Wrong):
        return await _wrong(connection, login, judged)
    values = (judged.issued_at, judged.mint_key_id, judged.channel, judged.verify_key, login["user_id"])
    await connection.execute(FINISH, login["login_id"], *values, *columns([judged.verified]))
    rows = [judged.verified]
    if judged.told is not None:
        notices = judged.told(await connection.fetchrow(CONTACTS_OF, login["user_id"]))
        await insert(connection, notices)
        rows += notices
    return Tried(login, judged, rows)


async def _wrong(connection: Any, login: Row, wrong: Wrong) -> Tried:
    """The count stands already; here are its consequences."""
    user_id = login["user_id"]
    rows: list[OutboxRow] = []
    if wrong.locked is not None and await connection.fetchval(LOCK, user_id):
        rows += wrong.locked(await connection.fetchrow(CONTACTS_OF, user_id))
    if wrong.long_codes:
        await connection.execute(LONG_CODES, user_id)
    stopped = wrong.fed is not None and await feeds.count_wrong(connection, wrong.fed)
    if wrong.closed is not None and await connection.fetchval(CLOSE, login["login_id"], "too-many-attempts"):
        rows.append(wrong.closed)
    await insert(connection, rows)
    return Tried(login, wrong, rows, stopped)
