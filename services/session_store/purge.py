"""Rows are purged by age, a few at a time; never because they are revoked, and floors and policies stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from services.platform.housekeeping import HOUR, Chore, Done, parked, rows
from services.session_store.clock import DatabaseClock
from services.session_store.erasing import erasures
from services.session_store.memory import Rules
from services.session_store.neighbours import POLICIES
from services.session_store.policy import Policy, ends_at

KEPT_DAYS: Final = 7  # after its end: as long as the topic keeps a longer policy that was not read yet
LONGEST_DAYS: Final = 366
DAY: Final = 86_400
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
    SELECT login_id FROM revocations WHERE revoked_at < now() - make_interval(days => $1)
    ORDER BY revoked_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
START: Final = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


def chores(clock: DatabaseClock, keep_parked_days: int) -> list[Chore]:
    revocations = rows("revocations", HOUR, REVOCATIONS, LONGEST_DAYS)
    return [Chore("sessions", HOUR, Purge(clock).step), revocations, erasures(), parked(keep_parked_days)]


class Purge:
    """Walks the sessions from the oldest on and begins again."""

    def __init__(self, clock: DatabaseClock) -> None:
        self._clock = clock
        self._after = START

    async def step(self, connection: Any, limit: int) -> Done:
        """Most of those that are looked at live."""
        found = await connection.fetch(LOOK, *self._after, KEPT_DAYS, limit)
        more = len(found) == limit
        self._after = (found[-1]["issued_at"], found[-1]["login_id"]) if more else START
        return Done(await self._delete_ended(connection, found), more)

    async def _delete_ended(self, connection: Any, found: Sequence[Any]) -> int:
        rules = await self._lengths(connection, {row["account_id"] for row in found})
        before = self._clock.now() - KEPT_DAYS * DAY
        ended = [row["login_id"] for row in found if _end(row, rules) < before]
        if ended:
            await connection.execute(DELETE, ended)
        return len(ended)

    async def _lengths(self, connection: Any, accounts: Iterable[UUID]) -> Rules:
        rules = Rules()
        for row in await connection.fetch(POLICIES + " WHERE account_id = ANY($1::uuid[])", accounts):
            rules.add_policy(row["account_id"], Policy(row["effective_at"].timestamp(), row["max_age"]))
        return rules


def _end(row: Any, rules: Rules) -> float:
    return ends_at(row["issued_at"].timestamp(), rules.policies.get(row["account_id"], ()), row["aud"])
