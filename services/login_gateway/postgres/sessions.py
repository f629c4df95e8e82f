"""Ending and measuring sessions: one write whatever their number. Call inside a transaction, then publish."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from schemas.events import CloseReason, ExpireScope
from services.login_gateway import events
from services.login_gateway.postgres.upkeep import close_many, close_of_user
from services.login_gateway.sessions import expire_all, policy_changed
from services.platform.keys.grants import Signer
from services.platform.outbox import OutboxRow, row_for

RAISE_USER: Final = """
UPDATE users SET epoch = greatest(epoch + 1, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
WHERE user_id = $1 RETURNING account_id, user_id, epoch, clock_timestamp() AS at
"""
RAISE_ACCOUNT: Final = """
UPDATE accounts SET epoch = greatest(epoch + 1, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
WHERE account_id = $1 RETURNING account_id, epoch, clock_timestamp() AS at
"""
RAISE: Final[dict[ExpireScope, str]] = {"user": RAISE_USER, "account": RAISE_ACCOUNT}
# Logins in the order of their ids, as by everything that touches several.
ERASE: Final = (
    "DELETE FROM logins WHERE login_id IN ("
    "SELECT login_id FROM logins WHERE user_id = $1 ORDER BY login_id FOR UPDATE)",
    "DELETE FROM idempotency WHERE user_id = $1",
    "DELETE FROM users WHERE user_id = $1",
)
POLICY: Final = """
UPDATE accounts SET session_seconds = $2,
    policy_at = greatest(clock_timestamp(), policy_at + interval '1 microsecond')
WHERE account_id = $1 RETURNING account_id, policy_at
"""


async def expire_user(connection: Any, signer: Signer, user_id: UUID, by: str) -> list[OutboxRow]:
    """End every session of a user and close their pending logins."""
    return await _expire(connection, signer, "user", user_id, by)


async def erase_user(connection: Any, signer: Signer, user_id: UUID, by: str) -> list[OutboxRow]:
    """The same, and every trace of the user in our tables; the others hear of it by the same event."""
    rows = await _expire(connection, signer, "user", user_id, by, erased=True)
    for statement in ERASE:
        await connection.execute(statement, user_id)
    return rows


async def expire_account(connection: Any, signer: Signer, account_id: UUID, by: str) -> list[OutboxRow]:
    """The same for the account; what of its pending logins is left over is dead by its epoch, and the closer tells."""
    return await _expire(connection, signer, "account", account_id, by)


async def _expire(
    connection: Any, signer: Signer, scope: ExpireScope, of: UUID, by: str, erased: bool = False
) -> list[OutboxRow]:
    row = await connection.fetchrow(RAISE[scope], of)
    if row is None:
        return []
    expired = row_for(expire_all(row, scope, by, erased), signer)
    if scope == "user":
        return [expired, *await close_logins(connection, of, "sessions-expired")]
    closed = await close_many(connection, "sessions-expired", "account_id = $1", of)
    return [expired, *_told(closed, "sessions-expired", row["at"])]


async def change_policy(connection: Any, signer: Signer, account_id: UUID, seconds: int, by: str) -> list[OutboxRow]:
    """Set the session length from this instant on."""
    row = await connection.fetchrow(POLICY, account_id, seconds)
    return [row_for(policy_changed(row, seconds, by), signer)]


async def close_logins(connection: Any, user_id: UUID, reason: CloseReason) -> list[OutboxRow]:
    """Close a user's pending logins; gives their `LoginClosed` rows."""
    closed = await close_of_user(connection, reason, user_id)
    return _told(closed, reason, await connection.fetchval("SELECT now()"))


def _told(closed: list[Any], reason: CloseReason, now: datetime) -> list[OutboxRow]:
    return [row_for(events.closed(login, reason, now)) for login in closed]
