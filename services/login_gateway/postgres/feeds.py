"""What platforms feed: references, budgets, and the wrong codes that stop a client's feed."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from services.login_gateway.feed_budget import Budget
from services.login_gateway.ports import FedBy, Row
from services.login_gateway.postgres import budgets
from services.platform.outbox import OutboxRow, insert

BY_REFERENCE: Final = """
SELECT login_id, user_id FROM logins
WHERE account_id = $1 AND reference = $2 AND created_at > now() - interval '48 hours'
"""
FREE_REFERENCE: Final = """
UPDATE logins SET reference = NULL
WHERE account_id = $1 AND reference = $2 AND created_at <= now() - interval '48 hours'
"""
COUNT_FED: Final = """
INSERT INTO feed_minutes AS f (client_id, minute, logins, wrong) VALUES ($1, date_trunc('minute', now()), $2, $3)
ON CONFLICT (client_id, minute) DO UPDATE SET logins = f.logins + excluded.logins, wrong = f.wrong + excluded.wrong
"""
STOP_FEED: Final = """
INSERT INTO feed_stops (client_id)
SELECT $1 FROM feed_minutes WHERE client_id = $1 AND minute > now() - interval '1 hour'
HAVING sum(wrong) > $2 AND sum(wrong) * 100 > sum(logins) * $3
ON CONFLICT DO NOTHING RETURNING true
"""
STOPPED: Final = "SELECT true FROM feed_stops WHERE client_id = $1"
RESUME: Final = (
    "DELETE FROM feed_minutes WHERE client_id = $1",
    "DELETE FROM feed_stops WHERE client_id = $1",
)


class PostgresFeeds:
    """On a pool, or on a connection: then in that connection's transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def by_reference(self, account_id: UUID, reference: str) -> Row | None:
        """The login of a reference, for the 48 hours that it lives."""
        row = await self._connection.fetchrow(BY_REFERENCE, account_id, reference)
        return None if row is None else dict(row)

    async def free_reference(self, account_id: UUID, reference: str) -> None:
        """After 48 hours a reference may name another login."""
        await self._connection.execute(FREE_REFERENCE, account_id, reference)

    async def refuse(self, event: OutboxRow) -> None:
        await insert(self._connection, [event])

    async def spend(self, account_id: UUID, logins: int) -> tuple[bool, Budget]:
        """Whether so many logins fit into the account's budget, then counted; and the budget as it is now."""
        granted = await budgets.spend(self._connection, {account_id: logins})
        return account_id in granted, await budgets.budget_of(self._connection, account_id)

    async def count(self, client_id: str, logins: int) -> None:
        await self._connection.execute(COUNT_FED, client_id, logins, 0)

    async def stopped(self, client_id: str) -> bool:
        return bool(await self._connection.fetchval(STOPPED, client_id))


async def count_wrong(connection: Any, fed: FedBy) -> bool:
    """Count a wrong code on a login that this client fed; whether it was the one that stops its feed."""
    await connection.execute(COUNT_FED, fed.client_id, 0, 1)
    return bool(await connection.fetchval(STOP_FEED, fed.client_id, fed.wrong_hour, fed.wrong_percent))


async def resume(connection: Any, client_id: str) -> None:
    """Let a client feed again, counted from nothing."""
    for statement in RESUME:
        await connection.execute(statement, client_id)
