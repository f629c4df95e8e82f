"""Clearing login sessions: of one user, or of all users of an account."""

from typing import Final

from services.login_gateway.accounts import as_id
from services.login_gateway.administration import Administration
from services.login_gateway.postgres.accounts import found
from services.login_gateway.postgres.sessions import expire_account, expire_user
from services.login_gateway.sessions import confirmed
from services.platform import audit
from services.platform.auth import Who
from services.platform.http import Problem

FIND_USER: Final = "SELECT user_id FROM users WHERE account_id = $1 AND user_id = $2"


async def clear_user(admin: Administration, who: Who, account: str, user: str) -> str:
    """Force one user to sign in again everywhere; gives `now` or `queued`."""
    async with admin.transaction() as (connection, rows):
        account_id = (await found(connection, who, account))["account_id"]
        user_id = as_id(user)
        if user_id is None or not await connection.fetchval(FIND_USER, account_id, user_id):
            raise Problem(404, "not-found", "There is no such user.")
        rows.extend(await expire_user(connection, admin.signer, user_id, who.name))
        await audit.record(connection, who.name, "sessions.expired", account_id, str(user_id))
    return await admin.announce(rows)


async def clear_account(admin: Administration, who: Who, account: str, confirm: str) -> str:
    """Clear all login sessions; gives `now` or `queued`."""
    async with admin.transaction() as (connection, rows):
        row = await found(connection, who, account)
        account_id = row["account_id"]
        confirmed(row, confirm)
        rows.extend(await expire_account(connection, admin.signer, account_id, who.name))
        await audit.record(connection, who.name, "sessions.all-expired", account_id, str(account_id))
    return await admin.announce(rows)
