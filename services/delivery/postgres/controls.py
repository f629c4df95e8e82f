"""What operators may change while everything runs: pauses, providers, routes. Each change is audited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg

from services.delivery.lanes import Provider
from services.delivery.pauses import ANY, Ended, Pause
from services.delivery.routing import Route
from services.platform import audit

PROVIDER: Final = "name, channel, enabled, weight, position, slots, per_second"
CHANGE: Final = f"""
UPDATE providers SET enabled = coalesce($2, enabled), weight = coalesce($3, weight), position = coalesce($4, position),
    slots = CASE WHEN $5 THEN $6 ELSE slots END, per_second = CASE WHEN $7 THEN $8 ELSE per_second END,
    updated_at = now()
WHERE name = $1 RETURNING {PROVIDER}
"""  # noqa: S608 - made of constants
ROUTES: Final = """
SELECT account_id AS account, country, provider, position, weight FROM routes
ORDER BY account_id, country, position, provider
"""
ADD_ROUTE: Final = """
INSERT INTO routes (account_id, country, provider, position, weight, by) VALUES ($1, $2, $3, $4, $5, $6)
"""


PAUSE: Final = """
INSERT INTO pauses (account_id, channel, country, provider, by) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
"""
RESUME: Final = (
    "DELETE FROM pauses WHERE account_id = $1 AND channel = $2 AND country = $3 AND provider = $4 RETURNING provider"
)
PAUSED: Final = "SELECT account_id AS account, channel, country, provider FROM pauses ORDER BY 1, 2, 3, 4"
MEANT: Final = """state = 'queued' AND $1 IN ('*', account_id::text) AND $2 IN ('*', channel)
    AND $3 IN ('*', coalesce(country, ''))"""
STEP: Final = "INSERT INTO delivery_log (login_id, delivery_id, account_id, channel, cause, what, reason)"
PARK: Final = f"""
WITH parked AS (
    UPDATE deliveries SET due_at = expires_at WHERE {MEANT} AND due_at < expires_at
    RETURNING login_id, id, account_id, channel, cause
)
{STEP} SELECT *, 'held', 'paused' FROM parked
"""  # noqa: S608 - made of constants
# What was held back, and by no pause any more.
RELEASE: Final = f"""
WITH released AS (
    UPDATE deliveries SET due_at = now()
    WHERE {MEANT} AND due_at = expires_at AND due_at > now() AND due(account_id, channel, country, expires_at) <= now()
    RETURNING login_id, id, account_id, channel, cause
)
{STEP} SELECT *, 'released', NULL FROM released
"""  # noqa: S608 - made of constants
WAKE: Final = f"""
UPDATE deliveries SET due_at = due(account_id, channel, country, expires_at) WHERE {MEANT} AND due_at > now()
"""  # noqa: S608


class NoSuchProvider(Exception):
    """A route names a provider that has no row."""


class PostgresControls:
    """On a pool of connections to delivery's database."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._ended = Ended()

    async def pause(self, pause: Pause, who: str) -> None:
        """What waits already is not due any more before its code is dead."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(PAUSE, *_values(pause), who)
            if pause.provider == ANY:
                await connection.execute(PARK, *_values(pause)[:3])
            await audit.record(connection, who, "deliveries.pause", _uuid_or_none(pause.account), *_told(pause))

    async def resume(self, pause: Pause, who: str) -> bool:
        """Exactly that pause ends; False: there was none. What another one holds back as well goes on waiting."""
        async with self._pool.acquire() as connection, connection.transaction():
            ended = await connection.fetchval(RESUME, *_values(pause)) is not None
            await connection.execute(RELEASE, *_values(pause)[:3])
            await connection.execute(WAKE, *_values(pause)[:3])
            await audit.record(connection, who, "deliveries.resume", _uuid_or_none(pause.account), *_told(pause))
        self._ended.add(pause)
        return ended

    async def release_missed(self, in_force: Sequence[Pause]) -> None:
        """What pauses that are over still hold back goes out: the statement that wrote it still saw them, and the one
        that released the others did not see it yet.
        """
        for pause in self._ended.to_look_for(in_force):
            await self._pool.execute(RELEASE, *_values(pause)[:3])

    async def paused(self) -> list[Pause]:
        return [Pause(**dict(row)) for row in await self._pool.fetch(PAUSED)]

    async def add_providers(self, names: list[tuple[str, str]]) -> None:
        """Rows for the providers that the settings name; what an operator changed stays."""
        await self._pool.executemany(
            "INSERT INTO providers (name, channel) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", names
        )

    async def providers(self) -> list[Provider]:
        rows = await self._pool.fetch(f"SELECT {PROVIDER} FROM providers ORDER BY channel, position, name")  # noqa: S608
        return [Provider(**dict(row)) for row in rows]

    async def routes(self) -> list[Route]:
        return [Route(**dict(row)) for row in await self._pool.fetch(ROUTES)]

    async def set_routes(self, account: str, country: str, routes: Sequence[Route], who: str) -> None:
        """These instead of all of that account and country. Raises `NoSuchProvider`."""
        values = [(account, country, r.provider, r.position, r.weight, who) for r in routes]
        shown = {"country": country, "providers": [f"{r.provider}:{r.position}:{r.weight}" for r in routes]}
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK TABLE routes IN SHARE ROW EXCLUSIVE MODE")
                await connection.execute("DELETE FROM routes WHERE account_id = $1 AND country = $2", account, country)
                await connection.executemany(ADD_ROUTE, values)
                await audit.record(connection, who, "routes.set", _uuid_or_none(account), account, shown)
        except asyncpg.ForeignKeyViolationError:
            raise NoSuchProvider from None

    async def change_provider(self, name: str, change: dict[str, Any], who: str) -> Provider | None:
        async with self._pool.acquire() as connection, connection.transaction():
            fields = (change.get(field) for field in ("enabled", "weight", "position"))
            limits = (value for field in ("slots", "per_second") for value in (field in change, change.get(field)))
            row = await connection.fetchrow(CHANGE, name, *fields, *limits)
            if row is None:
                return None
            await audit.record(connection, who, "providers.change", None, name, change)
        return Provider(**dict(row))


def _values(pause: Pause) -> tuple[str, str, str, str]:
    return pause.account, pause.channel, pause.country, pause.provider


def _told(pause: Pause) -> tuple[str, dict[str, str]]:
    """The subject of an audit line, and what else was said."""
    more = {"channel": pause.channel, "country": pause.country, "provider": pause.provider}
    return pause.account, {name: value for name, value in more.items() if value != ANY}


def _uuid_or_none(account: str) -> UUID | None:
    return None if account == ANY else UUID(account)
