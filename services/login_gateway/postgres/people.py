"""What people are called."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from services.login_gateway.accounts import as_id

PERSON: Final = """
SELECT username, accounts.name AS account FROM users JOIN accounts USING (account_id) WHERE user_id = $1
"""
OF_LOGIN: Final = "SELECT name FROM accounts JOIN logins USING (account_id) WHERE login_id = $1"
NAMES: Final = "SELECT user_id, username FROM users WHERE account_id = $1 AND user_id = ANY($2::uuid[])"


async def person(pool: Any, user_id: str) -> tuple[str, str]:
    """The names of a user and of their account."""
    row = await pool.fetchrow(PERSON, UUID(user_id))
    return (row["username"], row["account"]) if row is not None else ("somebody", "")


async def account_of(pool: Any, login_id: UUID) -> str:
    """The name of the account whose login that was; empty for one that is forgotten."""
    return await pool.fetchval(OF_LOGIN, login_id) or ""


async def names(pool: Any, account_id: UUID, user_ids: Iterable[str]) -> dict[str, str]:
    """By id; who is gone or of another account is not in it."""
    wanted = {found for each in user_ids if (found := as_id(each)) is not None}
    rows = await pool.fetch(NAMES, account_id, list(wanted)) if wanted else []
    return {str(row["user_id"]): row["username"] for row in rows}
