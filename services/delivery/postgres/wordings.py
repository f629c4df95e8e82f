"""Accounts' own wording: one row for each, changes read by version."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import structlog

from services.delivery.messages.own import Wording
from services.platform import audit

log = structlog.get_logger()

ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtext('gatepost wordings'))"
PUT: Final = """
INSERT INTO wordings (account_id, wording, version) SELECT $1, $2, coalesce(max(version), 0) + 1 FROM wordings
ON CONFLICT (account_id) DO UPDATE SET wording = excluded.wording, version = excluded.version, updated_at = now()
"""
NEWER: Final = "SELECT account_id, wording, version FROM wordings WHERE version > $1 ORDER BY version LIMIT 500"


class PostgresWordings:
    """Each change is audited; `changes` gives what came since it was asked last."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._version = 0

    async def changes(self) -> list[tuple[UUID, Wording | None]]:
        found: list[tuple[UUID, Wording | None]] = []
        while rows := await self._pool.fetch(NEWER, self._version):
            found += [(row["account_id"], _wording(row["wording"])) for row in rows]
            self._version = rows[-1]["version"]
        return found

    async def find(self, account: UUID) -> Wording:
        """An empty one for an account that has nothing of its own."""
        row = await self._pool.fetchval("SELECT wording FROM wordings WHERE account_id = $1", account)
        return _wording(row) or Wording()

    async def put(self, account: UUID, wording: Wording | None, who: str) -> None:
        """None takes it back. The texts themselves are not audited: they are in the table."""
        shown: dict[str, Any] | None = msgspec.to_builtins(wording) if wording is not None else None
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(ONE_AT_A_TIME)
            await connection.execute(PUT, account, shown)
            action = "wordings.delete" if wording is None else "wordings.change"
            await audit.record(connection, who, action, account, str(account), {"fields": _fields(shown or {})})


def _wording(stored: Any) -> Wording | None:
    """None too for what a newer delivery wrote and this one cannot read."""
    try:
        return msgspec.convert(stored, Wording) if stored is not None else None
    except msgspec.ValidationError:
        log.warning("wording_not_read")
        return None


def _fields(shown: dict[str, Any]) -> list[str]:
    texts = [f"texts.{tag}.{field}" for tag, each in shown.get("texts", {}).items() for field in each]
    return sorted([*(name for name in shown if name != "texts"), *texts])
