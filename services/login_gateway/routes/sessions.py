"""`expire-sessions` of one user, and of ALL users of an account."""

import msgspec
from aiohttp import web

from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.postgres.clearing import clear_account, clear_user
from services.login_gateway.who import ACCOUNT, USER, caller
from services.platform.http import body, json_response


class Confirmed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    confirm: str


def add_routes(app: web.Application) -> None:
    app.router.add_post(f"{USER}/expire-sessions", expire_user)
    app.router.add_post(f"{ACCOUNT}/expire-sessions", expire_account)


async def expire_user(request: web.Request) -> web.Response:
    """Force one user to sign in again everywhere."""
    who, admin, place = await caller(request), request.app[ADMINISTRATION], request.match_info
    return json_response({"effective": await clear_user(admin, who, place["account"], place["user"])})


async def expire_account(request: web.Request) -> web.Response:
    """Clear all login sessions."""
    who, admin, place = await caller(request), request.app[ADMINISTRATION], request.match_info
    confirm = (await body(request, Confirmed)).confirm
    return json_response({"effective": await clear_account(admin, who, place["account"], confirm)})
