"""The table of dead letters. Who opens one, takes it again or puts it away is audited."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from services.delivery.dead_letters import Letter, Letters, is_replayable
from services.platform import audit

SHOWN: Final = """id, topic, partition, "offset", reason, service, octet_length(sealed) AS size, at,
    replayed_at, replayed_by, discarded_at, discarded_by, discard_reason,
    CASE WHEN discarded_at IS NOT NULL THEN 'discarded' WHEN replayed_at IS NOT NULL THEN 'replayed' ELSE 'open' END
        AS state"""
OPEN: Final = "replayed_at IS NULL AND discarded_at IS NULL"
STATES: Final = {
    "open": OPEN,
    "replayed": "replayed_at IS NOT NULL AND discarded_at IS NULL",
    "discarded": "discarded_at IS NOT NULL",
}
CONDITIONS: Final = {
    "topic": "topic = {}",
    "reason": "reason = {}",
    "service": "service = {}",
    "since": "at >= {}",
    "until": "at < {}",
}
COUNTED_AT_MOST: Final = 100_000
OLDER: Final = "SELECT at FROM dead_letters WHERE id = $1"
REPLAYED: Final = "UPDATE dead_letters SET replayed_at = now(), replayed_by = $2 WHERE id = $1"
DISCARD_MANY: Final = """
UPDATE dead_letters SET discarded_at = now(), discarded_by = ${who}, discard_reason = ${reason}
WHERE id IN (SELECT id FROM dead_letters WHERE {where} ORDER BY at, id LIMIT {most} FOR UPDATE)
RETURNING id
"""
DISCARDED_AT_ONCE: Final = 10_000
DISCARD: Final = """
UPDATE dead_letters SET discarded_at = now(), discarded_by = $2, discard_reason = $3
WHERE id = $1 AND discarded_at IS NULL RETURNING id
"""


class PostgresLetters:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def page(self, of: Letters, before: tuple[datetime, UUID] | None, limit: int) -> list[Letter]:
        """Newest first."""
        where, given = _where(of, [STATES[of.state]] if of.state else [])
        if before:
            where, given = f"{where} AND (at, id) < (${len(given) + 1}, ${len(given) + 2})", [*given, *before]
        query = f"SELECT {SHOWN} FROM dead_letters WHERE {where} ORDER BY at DESC, id DESC LIMIT {limit:d}"  # noqa: S608
        return [_letter(row) for row in await self._pool.fetch(query, *given)]

    async def open_page(self, of: Letters, after: UUID | None, limit: int) -> list[dict[str, Any]]:
        """Those that are open, with their bytes, oldest first; after that letter."""
        where, given = _where(of, [OPEN])
        if after is not None:
            since = await self._pool.fetchval(OLDER, after)
            where, given = f"{where} AND (at, id) > (${len(given) + 1}, ${len(given) + 2})", [*given, since, after]
        query = f"SELECT * FROM dead_letters WHERE {where} ORDER BY at, id LIMIT {limit:d}"  # noqa: S608
        return [dict(row) for row in await self._pool.fetch(query, *given)]

    async def groups(self, of: Letters) -> dict[tuple[str, str | None], int]:
        """How many are open, by topic and service; of the newest 100,000."""
        where, given = _where(of, [OPEN])
        found = f"SELECT topic, service FROM dead_letters WHERE {where} ORDER BY at DESC LIMIT {COUNTED_AT_MOST}"  # noqa: S608
        query = f"SELECT topic, service, count(*) AS many FROM ({found}) f GROUP BY topic, service"  # noqa: S608
        return {(row["topic"], row["service"]): row["many"] for row in await self._pool.fetch(query, *given)}

    async def now(self) -> datetime:
        now: datetime = await self._pool.fetchval("SELECT now()")
        return now

    async def find(self, letter_id: UUID) -> dict[str, Any] | None:
        row = await self._pool.fetchrow("SELECT * FROM dead_letters WHERE id = $1", letter_id)
        return dict(row) if row else None

    async def letter(self, letter_id: UUID) -> Letter | None:
        row = await self._pool.fetchrow(f"SELECT {SHOWN} FROM dead_letters WHERE id = $1", letter_id)  # noqa: S608
        return _letter(row) if row else None

    async def opened(self, letter_id: UUID, who: str, action: str) -> None:
        """Before anything of it is shown."""
        async with self._pool.acquire() as connection:
            await audit.record(connection, who, f"dead-letters.{action}", None, str(letter_id))

    async def mark(self, letter_id: UUID, who: str) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(REPLAYED, letter_id, who)
            await audit.record(connection, who, "dead-letters.replay", None, str(letter_id))

    async def discard(self, letter_id: UUID, who: str, reason: str) -> bool:
        """False when it was put away before."""
        async with self._pool.acquire() as connection, connection.transaction():
            is_done = await connection.fetchval(DISCARD, letter_id, who, reason) is not None
            if is_done:
                await audit.record(connection, who, "dead-letters.discard", None, str(letter_id), {"reason": reason})
        return is_done

    async def discard_many(self, of: Letters, who: str, reason: str) -> tuple[int, bool]:
        """Of those that are open, the oldest ten thousand: how many, and whether more may be left."""
        where, given = _where(of, [OPEN])
        places = {"who": len(given) + 1, "reason": len(given) + 2}
        query = DISCARD_MANY.format(where=where, most=DISCARDED_AT_ONCE, **places)
        async with self._pool.acquire() as connection, connection.transaction():
            many = len(await connection.fetch(query, *given, who, reason))
            if many:
                told = {name: value for name, value in msgspec.to_builtins(of).items() if value is not None}
                details = told | {"because": reason, "discarded": many}
                await audit.record(connection, who, "dead-letters.discard-many", None, "*", details)
        return many, many == DISCARDED_AT_ONCE


def _where(of: Letters, first: list[str]) -> tuple[str, list[Any]]:
    asked = [name for name in CONDITIONS if getattr(of, name) is not None]
    conditions = [CONDITIONS[name].format(f"${place}") for place, name in enumerate(asked, 1)]
    return " AND ".join([*first, *conditions]) or "true", [getattr(of, name) for name in asked]


def _letter(row: asyncpg.Record) -> Letter:
    return msgspec.structs.replace(Letter(**dict(row)), replayable=is_replayable(row["topic"], row["service"]))
