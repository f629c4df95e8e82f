"""/v1/clients."""

import msgspec
from aiohttp import web

from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.clients import EditClient, NewClient
from services.login_gateway.postgres import accounts, clients
from services.login_gateway.who import CLIENT, caller
from services.platform.auth import EVERY, Client, Who
from services.platform.http import Problem, body, json_response, query


class Page(msgspec.Struct, forbid_unknown_fields=True):
    cursor: str | None = None


async def listed(request: web.Request) -> web.Response:
    who = await caller(request)
    found, cursor = await clients.listed(request.app[ADMINISTRATION], who, query(request, Page).cursor)
    return json_response({"clients": found, "cursor": cursor})


async def create(request: web.Request) -> web.Response:
    who = await caller(request)
    new = await body(request, NewClient)
    account = await _account(request, who, new.account)
    return json_response(await clients.create(request.app[ADMINISTRATION], who, new, account), 201)


async def show(request: web.Request) -> web.Response:
    who = await caller(request)
    return json_response(await clients.one(request.app[ADMINISTRATION], who, request.match_info["client_id"]))


async def change(request: web.Request) -> web.Response:
    who = await caller(request)
    edit = await body(request, EditClient)
    return json_response(await clients.change(request.app[ADMINISTRATION], who, request.match_info["client_id"], edit))


async def _account(request: web.Request, who: Who, given: str | None) -> str:
    """`*`, or the id of an account; without one, the caller's."""
    if given == EVERY:
        return EVERY
    if given is not None:
        return str((await accounts.found(request.app[ADMINISTRATION].pool, who, given))["account_id"])
    own = who.account if isinstance(who, Client) else who.account_id
    if own == EVERY:
        raise Problem(422, "account-needed", "Say which account the client is for, or * for all.", field="account")
    return own


def add(router: web.UrlDispatcher) -> None:
    router.add_get("/v1/clients", listed)
    router.add_post("/v1/clients", create)
    router.add_get(CLIENT, show)
    router.add_patch(CLIENT, change)
