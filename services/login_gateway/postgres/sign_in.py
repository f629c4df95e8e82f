"""Who may sign in: read as one row, with account and guard."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from cachetools import TTLCache

from services.login_gateway.accounts import as_id
from services.login_gateway.ports import Row

FIND_USER: Final = """
SELECT u.*, a.name AS account_name, a.state AS account_state, a.epoch AS account_epoch, a.code_digits, a.code_seconds,
       a.session_seconds,
       coalesce(greatest(a.long_codes_until, g.long_codes_until, (SELECT long_codes_until FROM installation)) > now(),
                false) AS long_codes,
       g.locked_at, now() AS at
FROM accounts a JOIN users u USING (account_id) JOIN user_guard g USING (user_id)
"""
BY_USERNAME: Final = FIND_USER + " WHERE a.account_id = $1 AND u.username_key = $2"
BY_ID: Final = FIND_USER + " WHERE a.account_id = $1 AND (u.user_id = $2 OR u.external_id = $3)"
ACCOUNT: Final = "SELECT account_id FROM accounts WHERE name = $1 OR account_id = $2"
ONLY_ACCOUNT: Final = "SELECT account_id FROM accounts LIMIT 2"
REHASH: Final = "UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2"
NAMED_SECONDS: Final = 2.0
STANDING: Final = "SELECT account_id, role FROM users WHERE user_id = $1::text::uuid AND NOT disabled"


class PostgresUsers:
    """On a pool, or on a connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._named: TTLCache[str, UUID] = TTLCache(1024, NAMED_SECONDS)

    async def account_id(self, name: str | None) -> UUID | None:
        """By name or id; without one, the only account there is. An account that was renamed answers to both names for
        two seconds.
        """
        if name is not None:
            return self._named.get(name) or await self._account_named(name)
        rows = await self._connection.fetch(ONLY_ACCOUNT)
        return rows[0]["account_id"] if len(rows) == 1 else None

    async def _account_named(self, name: str) -> UUID | None:
        found: UUID | None = await self._connection.fetchval(ACCOUNT, name, as_id(name))
        if found is not None:
            self._named[name] = found
        return found

    async def by_name(self, account_id: UUID, username_key: str) -> Row | None:
        return await self._one(BY_USERNAME, account_id, username_key)

    async def by_id(self, account_id: UUID, user_id: UUID | None, external_id: str | None) -> Row | None:
        return await self._one(BY_ID, account_id, user_id, external_id)

    async def rehash(self, user: Row, password_hash: str) -> None:
        """Nothing if somebody changed the password meanwhile."""
        await self._connection.execute(REHASH, user["user_id"], user["password_hash"], password_hash)

    async def standing(self, user_id: str) -> Row | None:
        """Account and role, unless the user is disabled or gone."""
        return await self._one(STANDING, user_id)

    async def _one(self, statement: str, *values: Any) -> Row | None:
        row = await self._connection.fetchrow(statement, *values)
        return None if row is None else dict(row)
