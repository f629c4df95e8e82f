"""Accounts' budgets of fed logins: one row each, spent by whichever road they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from services.login_gateway.feed_budget import Budget, turns

# All of what is asked for an account, or nothing; in one order, so that two calls cannot lock crosswise.
SPEND: Final = """
INSERT INTO feed_budgets AS b (account_id, spent_until)
SELECT account_id, now() + wanted.logins * interval '60 seconds' / a.feed_per_minute
FROM unnest($1::uuid[], $2::int[]) AS wanted(account_id, logins) JOIN accounts a USING (account_id) ORDER BY account_id
ON CONFLICT (account_id) DO UPDATE
SET spent_until = greatest(b.spent_until, now()) + (excluded.spent_until - now())
WHERE greatest(b.spent_until, now()) + (excluded.spent_until - now()) <= now() + interval '60 seconds'
RETURNING account_id
"""
READ: Final = """
SELECT feed_per_minute, coalesce(b.spent_until, now()) AS spent_until, now() AS at, code_seconds
FROM accounts a LEFT JOIN feed_budgets b USING (account_id) WHERE a.account_id = $1
"""
LOCK: Final = "SELECT FROM feed_budgets WHERE account_id = $1 FOR UPDATE"
SET: Final = "UPDATE feed_budgets SET spent_until = $2 WHERE account_id = $1"


async def spend(connection: Any, wanted: Mapping[UUID, int]) -> set[UUID]:
    """The accounts whose budget had room for all that was asked for."""
    rows = await connection.fetch(SPEND, list(wanted), list(wanted.values()))
    return {row["account_id"] for row in rows}


async def budget_of(connection: Any, account_id: UUID) -> Budget:
    row = await connection.fetchrow(READ, account_id)
    return _budget(row)


async def turns_of(
    pool: asyncpg.Pool[asyncpg.Record], account_id: UUID, since: Sequence[datetime]
) -> tuple[list[datetime | None], datetime]:
    """A turn for each login of an account that is over its budget, and what time it is; None for a login that would be
    older than a code's life by then, counted from when its password step was.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(LOCK, account_id)
        row: Any = await connection.fetchrow(READ, account_id)
        budget, life = _budget(row), timedelta(seconds=row["code_seconds"])
        found = turns(budget, [min(each, budget.at) + life for each in since])
        await connection.execute(SET, account_id, found.spent_until)
    return found.due, budget.at


def _budget(row: Any) -> Budget:
    return Budget(row["feed_per_minute"], row["spent_until"], row["at"])
