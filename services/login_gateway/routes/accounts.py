"""/v1/accounts."""

import msgspec
from aiohttp import web

from services.login_gateway.accounts import EditAccount, NewAccount
from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.postgres import accounts
from services.login_gateway.who import ACCOUNT, caller
from services.platform.http import body, json_response, query


class Page(msgspec.Struct, forbid_unknown_fields=True):
    cursor: str | None = None


async def listed(request: web.Request) -> web.Response:
    who = await caller(request)
    found, cursor = await accounts.listed(request.app[ADMINISTRATION], who, query(request, Page).cursor)
    return json_response({"accounts": found, "cursor": cursor})


async def create(request: web.Request) -> web.Response:
    who = await caller(request)
    new = await body(request, NewAccount)
    return json_response(await accounts.create(request.app[ADMINISTRATION], who, new), 201)


async def show(request: web.Request) -> web.Response:
    who = await caller(request)
    return json_response(await accounts.one(request.app[ADMINISTRATION], who, request.match_info["account"]))


async def change(request: web.Request) -> web.Response:
    """`effective` says whether the session store has heard of a new session length."""
    who = await caller(request)
    edit = await body(request, EditAccount)
    changed = await accounts.change(request.app[ADMINISTRATION], who, request.match_info["account"], edit)
    return json_response(changed)


def add(router: web.UrlDispatcher) -> None:
    router.add_get("/v1/accounts", listed)
    router.add_post("/v1/accounts", create)
    router.add_get(ACCOUNT, show)
    router.add_patch(ACCOUNT, change)
