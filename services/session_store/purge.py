"""Rows are purged by age, a few at a time; never because they are revoked, and floors and policies stay."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog

from services.platform.postgres import AWAY
from services.session_store.clock import DatabaseClock
from services.session_store.memory import Rules
from services.session_store.neighbours import POLICIES
from services.session_store.policy import Policy, ends_at

log = structlog.get_logger()

KEPT_DAYS: Final = 7  # after its end: as long as the topic keeps a longer policy that was not read yet
LONGEST_DAYS: Final = 366
DAY: Final = 86_400
AT_ONCE: Final = 200
FIRST_SECONDS: Final = 60.0
BUSY_SECONDS: Final = 0.2
IDLE_SECONDS: Final = 3600.0
LOOK: Final = """
SELECT login_id, account_id, issued_at, aud FROM sessions
WHERE (issued_at, login_id) > ($1, $2) AND issued_at < now() - $3::int * interval '1 day'
ORDER BY issued_at, login_id LIMIT $4
"""
DELETE: Final = """
DELETE FROM sessions WHERE login_id IN (
    SELECT login_id FROM sessions WHERE login_id = ANY($1::uuid[]) FOR UPDATE SKIP LOCKED)
"""
REVOCATIONS: Final = """
DELETE FROM revocations WHERE login_id IN (
    SELECT login_id FROM revocations WHERE revoked_at < now() - $1::int * interval '1 day'
    ORDER BY revoked_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
START: Final = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


class Purge:
    """Walks the sessions from the oldest on and begins again; `once` is one step."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], clock: DatabaseClock) -> None:
        self._pool = pool
        self._clock = clock
        self._after = START

    async def run(self) -> None:
        pause = FIRST_SECONDS
        while True:
            await asyncio.sleep(pause)
            try:
                pause = BUSY_SECONDS if await self.once() else IDLE_SECONDS
            except AWAY as away:
                log.warning("purge_waits", error=type(away).__name__)

    async def once(self) -> bool:
        """Whether there is more to look at."""
        rows = await self._pool.fetch(LOOK, *self._after, KEPT_DAYS, AT_ONCE)
        await self._delete_ended(rows)
        done = await self._pool.execute(REVOCATIONS, LONGEST_DAYS, AT_ONCE)
        more = len(rows) == AT_ONCE
        self._after = (rows[-1]["issued_at"], rows[-1]["login_id"]) if more else START
        return more or done == f"DELETE {AT_ONCE}"

    async def _delete_ended(self, rows: Sequence[Any]) -> None:
        rules, before = await self._lengths({row["account_id"] for row in rows}), self._clock.now() - KEPT_DAYS * DAY
        ended = [row["login_id"] for row in rows if _end(row, rules) < before]
        if ended:
            await self._pool.execute(DELETE, ended)
            log.info("sessions_purged", count=len(ended))

    async def _lengths(self, accounts: Iterable[UUID]) -> Rules:
        rules = Rules()
        rows = await self._pool.fetch(POLICIES + " WHERE account_id = ANY($1::uuid[])", accounts)
        for row in rows:
            rules.add_policy(row["account_id"], Policy(row["effective_at"].timestamp(), row["max_age"]))
        return rules


def _end(row: Any, rules: Rules) -> float:
    return ends_at(row["issued_at"].timestamp(), rules.policies.get(row["account_id"], ()), row["aud"])
