"""What operators set and see of the guard: accounts' own settings, figures, beginnings of numbers. All is audited."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import structlog

from services.delivery.guard import Own
from services.delivery.postgres.guard import NAMED_FROM, TODAY, window
from services.platform import audit

log = structlog.get_logger()

MOST_SHOWN: Final = 200
ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtext('gatepost guard'))"
PUT: Final = """
INSERT INTO guard_settings (account_id, settings, version)
SELECT $1, $2, coalesce(max(version), 0) + 1 FROM guard_settings
ON CONFLICT (account_id) DO UPDATE SET settings = excluded.settings, version = excluded.version, updated_at = now()
"""
NEWER: Final = "SELECT account_id, settings, version FROM guard_settings WHERE version > $1 ORDER BY version LIMIT 500"
OF_DAYS: Final = f"day > {TODAY} - $2::int AND ($1::uuid IS NULL OR account_id = $1)"
FIGURES: Final = f"""
SELECT account_id AS account, country, provider, sum(sends)::bigint AS sends, sum(verified)::bigint AS verified,
    round(sum(verified)::numeric / nullif(sum(sends), 0), 3)::float8 AS conversion, sum(cost)::float8 AS cost
FROM guard_figures WHERE {OF_DAYS} AND reason = ''
GROUP BY 1, 2, 3 ORDER BY sends DESC, 1, 2, 3 LIMIT {MOST_SHOWN}
"""  # noqa: S608 - made of constants
BY_COUNTRY: Final = f"""
SELECT country, provider, sum(sends)::bigint AS sends, sum(verified)::bigint AS verified,
    round(sum(verified)::numeric / nullif(sum(sends), 0), 3)::float8 AS conversion, sum(cost)::float8 AS cost
FROM guard_figures WHERE {OF_DAYS} AND reason = ''
GROUP BY 1, 2 ORDER BY sends DESC, 1, 2 LIMIT {MOST_SHOWN}
"""  # noqa: S608
STOPS: Final = f"""
SELECT account_id AS account, country, reason, sum(stopped)::bigint AS stopped
FROM guard_figures WHERE {OF_DAYS} AND reason <> ''
GROUP BY 1, 2, 3 ORDER BY stopped DESC, 1, 2, 3 LIMIT {MOST_SHOWN}
"""  # noqa: S608
SPENT: Final = f"""
SELECT account_id AS account, spent::float8 AS spent FROM guard_budgets
WHERE day = {TODAY} AND ($1::uuid IS NULL OR account_id = $1::text) ORDER BY spent DESC, 1 LIMIT {MOST_SHOWN}
"""  # noqa: S608
CURRENT: Final = f"since >= {window('$2')}"
LAST: Final = f"since >= {window('$2')} - make_interval(secs => $2)"
# Rows that nobody counted in since their window closed are read as if somebody had.
PREFIXES: Final = f"""
SELECT account_id AS account, prefix, country, lifted_until, shown,
    CASE WHEN {CURRENT} THEN sends + old_sends WHEN {LAST} THEN sends ELSE 0 END AS sends,
    CASE WHEN {CURRENT} THEN verified + old_verified WHEN {LAST} THEN verified ELSE 0 END AS verified,
    CASE WHEN {CURRENT} THEN stopped + old_stopped WHEN {LAST} THEN stopped ELSE 0 END AS stopped,
    coalesce(lifted_until > now(), false) AS lifted
FROM guard_prefixes WHERE shown IS NOT NULL AND ($1::uuid IS NULL OR account_id = $1)
"""  # noqa: S608
# Beginnings that nothing was sent to lately are shown only while an operator lets them through.
SHOWN: Final = f"""
SELECT * FROM ({PREFIXES}) p WHERE lifted OR sends > 0 OR stopped > 0
ORDER BY stopped DESC, sends DESC, account, prefix LIMIT {MOST_SHOWN}
"""  # noqa: S608
KNOWN: Final = """
SELECT EXISTS (SELECT FROM guard_prefixes WHERE account_id = $1 AND prefix = $2 AND sends + old_sends + stopped > 0)
"""
LIFT: Final = f"""
INSERT INTO guard_prefixes AS p (account_id, prefix, since, lifted_until, shown)
VALUES ($1, $2, {window("$5")}, now() + make_interval(hours => $3), $4)
ON CONFLICT (account_id, prefix) DO UPDATE
    SET lifted_until = excluded.lifted_until, shown = coalesce(p.shown, excluded.shown)
"""  # noqa: S608
END: Final = f"""
UPDATE guard_prefixes SET lifted_until = NULL, shown = CASE WHEN sends + old_sends >= {NAMED_FROM} THEN shown END
WHERE account_id = $1 AND prefix = $2 AND lifted_until > now() RETURNING true
"""  # noqa: S608


class PostgresGuarding:
    """`changes` gives what came since it was asked last."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], guard_window: timedelta) -> None:
        self._pool, self._window = pool, guard_window.total_seconds()
        self._version = 0

    async def changes(self) -> list[tuple[UUID, Own | None]]:
        found: list[tuple[UUID, Own | None]] = []
        while rows := await self._pool.fetch(NEWER, self._version):
            found += [(row["account_id"], _own(row["settings"])) for row in rows]
            self._version = rows[-1]["version"]
        return found

    async def find(self, account: UUID) -> Own:
        """An empty one for an account that has nothing of its own."""
        row = await self._pool.fetchval("SELECT settings FROM guard_settings WHERE account_id = $1", account)
        return _own(row) or Own()

    async def put(self, account: UUID, own: Own | None, who: str) -> None:
        """None takes it back."""
        settings: dict[str, Any] | None = msgspec.to_builtins(own) if own is not None else None
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(ONE_AT_A_TIME)
            await connection.execute(PUT, account, settings)
            action = "guard.delete" if own is None else "guard.change"
            await audit.record(connection, who, action, account, str(account), {"settings": settings})

    async def knows(self, account: UUID, prefix: bytes) -> bool:
        """Whether anything was sent to numbers that begin so."""
        return bool(await self._pool.fetchval(KNOWN, account, prefix))

    async def lift(self, account: UUID, prefix: bytes, shown: bytes, hours: int, who: str) -> None:
        """Let numbers through that begin so. The audit says their hash."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(LIFT, account, prefix, hours, shown, self._window)
            await _audited(connection, who, account, prefix, hours)

    async def end_lift(self, account: UUID, prefix: bytes, who: str) -> bool:
        """Judge them again; whether they were let through."""
        async with self._pool.acquire() as connection, connection.transaction():
            ended = bool(await connection.fetchval(END, account, prefix))
            await _audited(connection, who, account, prefix, 0)
        return ended

    async def figures(self, account: UUID | None, days: int) -> list[asyncpg.Record]:
        return await self._pool.fetch(FIGURES, account, days)

    async def by_country(self, account: UUID | None, days: int) -> list[asyncpg.Record]:
        """All accounts together, where none is named."""
        return await self._pool.fetch(BY_COUNTRY, account, days)

    async def stops(self, account: UUID | None, days: int) -> list[asyncpg.Record]:
        return await self._pool.fetch(STOPS, account, days)

    async def spent(self, account: UUID | None) -> list[asyncpg.Record]:
        """Of today's budgets; `*` is the installation's."""
        return await self._pool.fetch(SPENT, account)

    async def prefixes(self, account: UUID | None) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._pool.fetch(SHOWN, account, self._window)]


async def _audited(connection: Any, who: str, account: UUID, prefix: bytes, hours: int) -> None:
    told = {"prefix": prefix.hex(), "hours": hours}
    await audit.record(connection, who, "guard.allow", account, str(account), told)


def _own(stored: Any) -> Own | None:
    """None too for what a newer delivery wrote and this one cannot read."""
    try:
        return msgspec.convert(stored, Own) if stored is not None else None
    except msgspec.ValidationError:
        log.warning("guard_settings_not_read")
        return None
