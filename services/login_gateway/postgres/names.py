"""A username and an external id are one user's only. Asked before it is written: an error of a unique index puts the
name into the server's log.
"""

from typing import Any, Final
from uuid import UUID

import asyncpg

from services.login_gateway.users import Profile, fold
from services.platform.http import Problem

TAKEN: Final = """
SELECT bool_or(username_key = $2) AS username, bool_or(external_id = $3) AS external_id FROM users
WHERE account_id = $1 AND user_id <> $4 AND (username_key = $2 OR external_id = $3)
"""


async def check_free(connection: Any, account_id: UUID, user_id: UUID, wanted: Profile) -> None:
    """Raises 409 `username-taken` or `external-id-taken`."""
    values = (account_id, fold(wanted.username), wanted.external_id, user_id)
    found = await connection.fetchrow(TAKEN, *values)
    if found["username"] or found["external_id"]:
        raise _taken(external_id=bool(found["external_id"]))


def taken(twice: asyncpg.UniqueViolationError) -> Problem:
    """The same, when somebody else was faster by a moment."""
    return _taken(external_id="external_id" in str(twice.constraint_name))


def _taken(external_id: bool) -> Problem:
    if external_id:
        return Problem(409, "external-id-taken", "Another user of this account has this external_id.")
    return Problem(409, "username-taken", "Another user of this account has this username.")
