"""Logins that end by themselves, a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import asyncpg

from schemas.events import CloseReason
from services.login_gateway.ports import Row
from services.platform.outbox import OutboxRow, insert

CLOSE_MANY: Final = """
UPDATE logins SET state = 'closed', closed_why = $2, ended_at = now()
WHERE login_id IN (SELECT login_id FROM logins WHERE state = 'pending' AND {which} LIMIT 500 FOR UPDATE SKIP LOCKED)
RETURNING login_id, account_id, user_id, reference
"""
# A user's logins are few, and not one may be passed over because something else is writing to it just now.
CLOSE_OF_USER: Final = """
UPDATE logins SET state = 'closed', closed_why = $2, ended_at = now()
WHERE login_id IN (
    SELECT login_id FROM logins WHERE state || '' = 'pending' AND user_id = $1 ORDER BY login_id FOR NO KEY UPDATE
)
RETURNING login_id, account_id, user_id, reference
"""
# No login waits for an hour: only accounts that were cleared within the last one are looked through.
OUTDATED: Final[tuple[tuple[CloseReason, str], ...]] = (
    ("expired", "expires_at <= now() AND $1"),
    (
        "sessions-expired",
        "account_id IN (SELECT account_id FROM accounts a WHERE a.epoch > logins.account_epoch"
        " AND a.epoch > extract(epoch FROM now() - interval '1 hour') * 1000) AND $1",
    ),
)
LONGER_IN_ACCOUNTS: Final = """
UPDATE accounts SET long_codes_until = now() + interval '1 day'
WHERE account_id IN (SELECT account_id FROM guessed_logins GROUP BY account_id HAVING count(*) >= $1)
  AND (long_codes_until IS NULL OR long_codes_until < now() + interval '23 hours')
RETURNING account_id::text
"""
LONGER_EVERYWHERE: Final = """
UPDATE installation SET long_codes_until = now() + interval '1 day'
WHERE (SELECT count(*) FROM guessed_logins) >= $1
  AND (long_codes_until IS NULL OR long_codes_until < now() + interval '23 hours')
RETURNING '*'
"""


class PostgresUpkeep:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def close(self, told: Callable[[Row, CloseReason], OutboxRow]) -> list[OutboxRow]:
        """Close what has expired or lies below its account's floor."""
        rows: list[OutboxRow] = []
        async with self._pool.acquire() as connection, connection.transaction():
            for reason, which in OUTDATED:
                rows += [told(login, reason) for login in await close_many(connection, reason, which, True)]
            await insert(connection, rows)
        return rows

    async def lengthen_codes(self, account_hour: int, hour: int) -> list[str]:
        """Eight digits for a day where guessed logins pile up; gives the accounts where that is new, `*` for all."""
        found = await self._pool.fetch(LONGER_IN_ACCOUNTS, account_hour)
        found += await self._pool.fetch(LONGER_EVERYWHERE, hour)
        return [account_id for (account_id,) in found]


async def close_of_user(connection: Any, why: str, user_id: UUID) -> list[Any]:
    """Close all pending logins of a user, waiting for whoever is writing to one."""
    return list(await connection.fetch(CLOSE_OF_USER, user_id, why))


async def close_many(connection: Any, why: str, which: str, value: Any) -> list[Any]:
    """Close pending logins where `which` (a condition over `$1`); at most 500 at a time."""
    return list(await connection.fetch(CLOSE_MANY.format(which=which), value, why))
