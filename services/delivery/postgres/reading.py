"""What operators read: lists and timelines."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from services.delivery.deliveries import Delivery, ListQuery, Step, Timeline, Wanted

SHOWN: Final = """id AS delivery_id, login_id, account_id AS account, user_id AS user, channel, cause, state, reason,
    provider, masked AS to, country, tries, created_at, updated_at, due_at, expires_at, email_off"""
WANTED: Final = """($1::uuid IS NULL OR account_id = $1) AND ($2::uuid IS NULL OR login_id = $2)
    AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR $4 IN (reason, split_part(reason, ':', 1)))
    AND ($5::text IS NULL OR provider = $5) AND ($6::text IS NULL OR channel = $6)
    AND ($7::timestamptz IS NULL OR created_at >= $7) AND ($8::timestamptz IS NULL OR created_at < $8)"""
PAGE: Final = f"""
SELECT {SHOWN} FROM deliveries WHERE {WANTED}
    AND ($9::timestamptz IS NULL OR (created_at, id) < ($9, $10::uuid))
ORDER BY created_at DESC, id DESC LIMIT $11
"""  # noqa: S608 - made of constants
EMAIL_OFF: Final = PAGE.replace("WHERE", "WHERE email_off AND", 1)  # by an index of its own
STEPS: Final = "id, at, what, login_id, delivery_id, account_id AS account, channel, cause, provider, reason, ms"


def wanted(of: Wanted) -> tuple[Any, ...]:
    return of.account, of.login_id, of.state, of.reason, of.provider, of.channel, of.since, of.until


class PostgresReading:
    """`deliveries.Reading` on asyncpg."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def page(self, asked: ListQuery, after: tuple[datetime, UUID] | None, limit: int) -> list[Delivery]:
        statement = EMAIL_OFF if asked.email_off else PAGE
        rows = await self._pool.fetch(statement, *wanted(asked), *(after or (None, None)), limit)
        return [Delivery(**dict(row)) for row in rows]

    async def timeline(self, login_id: UUID, account: UUID | None) -> Timeline | None:
        login = await self._pool.fetchrow("SELECT * FROM login_states WHERE login_id = $1", login_id)
        if login is None or (account is not None and login["account_id"] != account):
            return None
        rows = await self._pool.fetch(
            f"SELECT {SHOWN} FROM deliveries WHERE login_id = $1 ORDER BY created_at, id",  # noqa: S608
            login_id,
        )
        steps = await self._pool.fetch(f"SELECT {STEPS} FROM delivery_log WHERE login_id = $1 ORDER BY id", login_id)  # noqa: S608
        return Timeline(
            login_id=login_id,
            account=login["account_id"],
            user=login["user_id"],
            closed=login["why"],
            expires_at=login["expires_at"],
            deliveries=[Delivery(**dict(row)) for row in rows],
            steps=[Step(**dict(row)) for row in steps],
        )

    async def steps_after(self, last: int, limit: int) -> list[Step]:
        rows = await self._pool.fetch(
            f"SELECT {STEPS} FROM delivery_log WHERE id > $1 ORDER BY id LIMIT $2",  # noqa: S608
            last,
            limit,
        )
        return [Step(**dict(row)) for row in rows]

    async def last_step(self) -> int:
        return int(await self._pool.fetchval("SELECT coalesce(max(id), 0) FROM delivery_log"))
