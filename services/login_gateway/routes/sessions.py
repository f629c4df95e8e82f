"""`expire-sessions` of one user, and of ALL users of an account."""

import msgspec
from aiohttp import web

from services.login_gateway import sessions
from services.login_gateway.accounts import as_id
from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.postgres.accounts import found
from services.login_gateway.who import ACCOUNT, USER, caller
from services.platform import audit
from services.platform.http import Problem, body, json_response

FIND_USER = "SELECT user_id FROM users WHERE account_id = $1 AND user_id = $2"


class Confirmed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    confirm: str


def add_routes(app: web.Application) -> None:
    app.router.add_post(f"{USER}/expire-sessions", expire_user)
    app.router.add_post(f"{ACCOUNT}/expire-sessions", expire_account)


async def expire_user(request: web.Request) -> web.Response:
    """Force one user to sign in again everywhere."""
    who, admin = await caller(request), request.app[ADMINISTRATION]
    async with admin.transaction() as (connection, rows):
        account = await found(connection, who, request.match_info["account"])
        user_id = as_id(request.match_info["user"])
        if user_id is None or not await connection.fetchval(FIND_USER, account["account_id"], user_id):
            raise Problem(404, "not-found", "There is no such user.")
        rows.extend(await sessions.expire_user(connection, admin.signer, user_id, who.name))
        await audit.record(connection, who.name, "sessions.expired", account["account_id"], str(user_id))
    return json_response({"effective": await admin.announce(rows)})


async def expire_account(request: web.Request) -> web.Response:
    """Clear all login sessions: `confirm` repeats the account's name or id."""
    who, admin = await caller(request), request.app[ADMINISTRATION]
    confirm = (await body(request, Confirmed)).confirm
    async with admin.transaction() as (connection, rows):
        account = await found(connection, who, request.match_info["account"])
        account_id = account["account_id"]
        if confirm not in (account["name"], str(account_id)):
            raise Problem(400, "not-confirmed", "This logs out ALL users: repeat the account's name in confirm.")
        rows.extend(await sessions.expire_account(connection, admin.signer, account_id, who.name))
        await audit.record(connection, who.name, "sessions.all-expired", account_id, str(account_id))
    return json_response({"effective": await admin.announce(rows)})
