"""Logins in Postgres. Locks are taken in one order: the user's guard, then the login."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import asyncpg

from schemas.events import Channel
from services.login_gateway.ports import Kept, NotStorable, Opened, Right, Row, Tried, TryLimits, Word, Wrong
from services.login_gateway.postgres import tries
from services.platform.outbox import OutboxRow, columns, insert

OPEN: Final = """
INSERT INTO logins (login_id, account_id, user_id, state, audience, digits, salt, code_key_id, channels, masked,
                    auth_time, expires_at, account_epoch, user_epoch, device, context, fed_by, reference, created_at,
                    factors, delivery)
SELECT $1, $2, $3, 'pending', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
FROM users WHERE user_id = $3 AND phone_hash IS NOT DISTINCT FROM $21 AND email_hash IS NOT DISTINCT FROM $22
FOR SHARE
ON CONFLICT (account_id, reference) WHERE reference IS NOT NULL DO NOTHING
RETURNING true
"""
OPEN_VERIFIED: Final = """
INSERT INTO logins (login_id, account_id, user_id, state, audience, digits, salt, code_key_id, channels, auth_time,
                    expires_at, account_epoch, user_epoch, device, issued_at, mint_key_id, ended_at, fed_by, reference)
VALUES ($1, $2, $3, 'verified', $4, 0, '', 0, '{}', $5, $6, $7, $8, $9, $10, $11, now(), $12, $13)
ON CONFLICT (account_id, reference) WHERE reference IS NOT NULL DO NOTHING
RETURNING true
"""
TAKEN: Final = "SELECT true FROM logins WHERE account_id = $1 AND reference = $2"
# Either, and its event, as one.
WITH_EVENT: Final = """
WITH opened AS ({open}), told AS (
    INSERT INTO outbox (id, topic, key, value, headers)
    SELECT o.* FROM opened, unnest(${0}::uuid[], ${1}::text[], ${2}::bytea[], ${3}::bytea[], ${4}::jsonb[]) o
    ON CONFLICT (id) DO NOTHING
)
SELECT EXISTS (SELECT FROM opened)
"""
IDEMPOTENT: Final = """
INSERT INTO idempotency (user_id, key, body_mac, login_id, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (user_id, key) DO UPDATE
SET body_mac = excluded.body_mac, login_id = excluded.login_id, expires_at = excluded.expires_at
WHERE idempotency.expires_at <= now()
RETURNING true
"""
SAME_KEY: Final = "SELECT body_mac, login_id FROM idempotency WHERE user_id = $1 AND key = $2 AND expires_at > now()"
END_REPETITION: Final = "UPDATE logins SET verify_key = NULL WHERE login_id = $1"
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
WHERE login_id = $1 AND state || '' = 'pending' AND expires_at > now() AND sends = $2 RETURNING sends
"""
# Of one message, what ended it stands against any other word, and a `queued` gives way to any; else, and between
# messages, the latest stands. Times alone are no order: a call is timed by its worker, a receipt by the database.
FINAL: Final = """'["delivered", "failed"]'::jsonb"""
SET_DELIVERY: Final = f"""
UPDATE logins SET delivery = delivery || jsonb_build_object($2::text, $3::jsonb)
WHERE login_id = $1 AND CASE
    WHEN delivery -> $2 IS NULL THEN true
    WHEN delivery -> $2 -> 'cause' = $3::jsonb -> 'cause' AND delivery -> $2 ->> 'state' = 'queued' THEN true
    WHEN delivery -> $2 -> 'cause' = $3::jsonb -> 'cause'
        AND ({FINAL} @> ($3::jsonb -> 'state')) <> ({FINAL} @> (delivery -> $2 -> 'state'))
        THEN {FINAL} @> ($3::jsonb -> 'state')
    ELSE (delivery -> $2 ->> 'at')::timestamptz <= ($3::jsonb ->> 'at')::timestamptz
END
"""  # noqa: S608 - made of constants
PENDING: Final = (
    "login_id",
    "account_id",
    "user_id",
    "audience",
    "digits",
    "salt",
    "code_key_id",
    "channels",
    "masked",
    "auth_time",
    "expires_at",
    "account_epoch",
    "user_epoch",
    "device",
    "context",
    "fed_by",
    "reference",
    "created_at",
    "factors",
    "delivery",
    "phone_hash",
    "email_hash",
)
VERIFIED: Final = (
    "login_id",
    "account_id",
    "user_id",
    "audience",
    "auth_time",
    "expires_at",
    "account_epoch",
    "user_epoch",
    "device",
    "issued_at",
    "mint_key_id",
    "fed_by",
    "reference",
)
OPENED: Final = WITH_EVENT.format(*range(len(PENDING) + 1, len(PENDING) + 6), open=OPEN)
OPENED_VERIFIED: Final = WITH_EVENT.format(*range(len(VERIFIED) + 1, len(VERIFIED) + 6), open=OPEN_VERIFIED)


class PostgresLogins:
    """On a pool; `get` and `open` of a fed login also on a connection, in its transaction."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def get(self, login_id: UUID) -> Row | None:
        row = await self._pool.fetchrow(GET, login_id)
        return None if row is None else dict(row)

    async def open(self, login: Row, event: OutboxRow, kept: Kept | None) -> Opened:
        """Write login, event and idempotency key as one."""
        try:
            if kept is None:
                return Opened.NOW if await _open(self._pool, login, event) else await self._why_not(login)
            async with self._pool.acquire() as connection, connection.transaction():
                if not await _keep(connection, login, kept):
                    return Opened.KEY_TAKEN
                if not await _open(connection, login, event):
                    raise _UserChanged
        except _UserChanged:
            return Opened.USER_CHANGED
        return Opened.NOW

    async def _why_not(self, login: Row) -> Opened:
        """Asked afterwards: an error would take a whole transaction with it."""
        named = login["reference"] is not None
        taken = named and await self._pool.fetchval(TAKEN, login["account_id"], login["reference"])
        return Opened.REFERENCE_TAKEN if taken else Opened.USER_CHANGED

    async def try_code(self, login_id: UUID, most: TryLimits, judge: Callable[[Row], Right | Wrong]) -> Tried | None:
        return await tries.try_code(self._pool, login_id, most, judge)

    async def count_send(self, login: Row, channel: Channel, event: OutboxRow) -> bool:
        """Whether this call, of those that saw as many sends, is the one that sends."""
        async with self._pool.acquire() as connection, connection.transaction():
            counted = await connection.fetchval(COUNT_SEND, login["login_id"], login["sends"], channel)
            if counted is not None:
                await insert(connection, [event])
        return counted is not None

    async def tell(self, words: Sequence[Word]) -> None:
        """What became of messages, each login's in the order given. Raises `NotStorable`, and then nothing is told.

        Locked in the order of their ids, as by everything that touches several logins.
        """
        try:
            await self._pool.executemany(SET_DELIVERY, sorted(words, key=itemgetter(0)))
        except asyncpg.DataError:
            raise NotStorable from None


class PostgresRepetitions:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def of_key(self, user_id: UUID, key: bytes) -> Row | None:
        row = await self._pool.fetchrow(SAME_KEY, user_id, key)
        return None if row is None else dict(row)

    async def end(self, login_id: UUID) -> None:
        await self._pool.execute(END_REPETITION, login_id)


class _UserChanged(Exception):
    """Takes the idempotency key back with everything else."""


async def _keep(connection: Any, login: Row, kept: Kept) -> bool:
    """False when another call with this key was first: the insert waited for it."""
    values = (login["user_id"], *kept, login["login_id"], login["expires_at"])
    return bool(await connection.fetchval(IDEMPOTENT, *values))


async def _open(connection: Any, login: Row, event: OutboxRow) -> bool:
    """A login that waits for a code is opened only while its user's contacts are those that it was sealed for."""
    statement, names = (OPENED_VERIFIED, VERIFIED) if login["state"] == "verified" else (OPENED, PENDING)
    return bool(await connection.fetchval(statement, *(login[name] for name in names), *columns([event])))
