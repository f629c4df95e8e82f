"""The table of dead letters."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import asyncpg

from services.delivery.dead_letters import Letter
from services.platform import audit

SHOWN: Final = 'id, topic, partition, "offset", reason, service, octet_length(sealed) AS size, at, replayed_at'


class PostgresLetters:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def newest(self, limit: int) -> list[Letter]:
        rows = await self._pool.fetch(f"SELECT {SHOWN} FROM dead_letters ORDER BY at DESC, id DESC LIMIT $1", limit)  # noqa: S608
        return [Letter(**dict(row)) for row in rows]

    async def find(self, letter_id: UUID) -> dict[str, Any] | None:
        row = await self._pool.fetchrow("SELECT * FROM dead_letters WHERE id = $1", letter_id)
        return dict(row) if row else None

    async def mark(self, letter_id: UUID, who: str) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("UPDATE dead_letters SET replayed_at = now() WHERE id = $1", letter_id)
            await audit.record(connection, who, "dead-letters.replay", None, str(letter_id))
