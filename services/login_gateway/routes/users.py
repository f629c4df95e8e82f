"""/v1/accounts/{account}/users and imports."""

import re
from functools import partial
from typing import Annotated, Final
from uuid import UUID

import msgspec
from aiohttp import web

from services.login_gateway import imports
from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.erasing import REMAINS
from services.login_gateway.postgres import accounts, users
from services.login_gateway.user_rows import UserView
from services.login_gateway.users import EditUser, NewPassword, NewUser
from services.login_gateway.who import ACCOUNT, USER, USERS, caller
from services.platform.auth import Who
from services.platform.http import Problem, body, json_response, query

LARGEST_PAGE: Final = 200
NOT_NDJSON: Final = frozenset({"text/csv", "application/csv", "application/vnd.ms-excel", "multipart/form-data"})
ETAG: Final = re.compile(r'(?:W/)?"(\d{1,9})"')


class Search(msgspec.Struct, forbid_unknown_fields=True):
    search: Annotated[str, msgspec.Meta(max_length=320)] | None = None
    cursor: UUID | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_PAGE)] = 50


async def listed(request: web.Request) -> web.Response:
    _, account_id = await _caller(request)
    page = query(request, Search)
    found, cursor = await users.listed(request.app[ADMINISTRATION], account_id, page.search, page.cursor, page.limit)
    return json_response({"users": found, "cursor": cursor})


async def create(request: web.Request) -> web.Response:
    who, account_id = await _caller(request)
    new = await body(request, NewUser)
    return _one(await users.create(request.app[ADMINISTRATION], who, account_id, new), 201)


async def show(request: web.Request) -> web.Response:
    _, account_id = await _caller(request)
    return _one(await users.one(request.app[ADMINISTRATION], account_id, request.match_info["user"]))


async def change(request: web.Request) -> web.Response:
    who, account_id = await _caller(request)
    edit = await body(request, EditUser)
    user, version = request.match_info["user"], _if_match(request)
    return _one(await users.change(request.app[ADMINISTRATION], who, account_id, user, edit, version))


async def put(request: web.Request) -> web.Response:
    who, account_id = await _caller(request)
    new = await body(request, NewUser)
    external_id = request.match_info["external_id"]
    if new.external_id not in (None, external_id):
        raise Problem(422, "bad-external-id", "external_id differs from the path's.", field="external_id")
    user, made = await users.put(request.app[ADMINISTRATION], who, account_id, external_id, new)
    return _one(user, 201 if made else 200)


async def delete(request: web.Request) -> web.Response:
    who, account_id = await _caller(request)
    effective = await users.delete(request.app[ADMINISTRATION], who, account_id, request.match_info["user"])
    return json_response({"deleted": True, "effective": effective, "remains": REMAINS})


async def set_password(request: web.Request) -> web.Response:
    who, account_id = await _caller(request)
    new = await body(request, NewPassword)
    user = request.match_info["user"]
    return _one(await users.set_password(request.app[ADMINISTRATION], who, account_id, user, new))


async def unlock(request: web.Request) -> web.Response:
    who, account_id = await _caller(request)
    return _one(await users.unlock(request.app[ADMINISTRATION], who, account_id, request.match_info["user"]))


async def import_users(request: web.Request) -> web.StreamResponse:
    """NDJSON in, NDJSON out: one answer for each line, as soon as it is written."""
    who, account_id = await _caller(request)
    if request.content_type in NOT_NDJSON:
        detail = "An import is NDJSON, one user a line; `gatepost users import` makes it of a CSV file."
        raise Problem(415, "ndjson-required", detail)
    answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
    await answer.prepare(request)
    lines = imports.lines(request.content.iter_any())
    async for result in imports.run(partial(users.take, request.app[ADMINISTRATION], who, account_id), lines):
        await answer.write(msgspec.json.encode(result) + b"\n")
    await answer.write_eof()
    return answer


async def _caller(request: web.Request) -> tuple[Who, UUID]:
    who = await caller(request)
    account = await accounts.found(request.app[ADMINISTRATION].pool, who, request.match_info["account"])
    return who, account["account_id"]


def _one(user: UserView, status: int = 200) -> web.Response:
    return json_response(user, status, {"ETag": f'"{user.version}"'})


def _if_match(request: web.Request) -> int | None:
    given = request.headers.get("If-Match")
    if given in (None, "*"):
        return None
    found = ETAG.fullmatch(given or "")
    if found is None:
        raise Problem(400, "bad-request", 'If-Match takes one ETag of this user, like "3", or *.')
    return int(found[1])


def add(router: web.UrlDispatcher) -> None:
    router.add_get(USERS, listed)
    router.add_post(USERS, create)
    router.add_put(f"{USERS}/external/{{external_id}}", put)
    router.add_get(USER, show)
    router.add_patch(USER, change)
    router.add_delete(USER, delete)
    router.add_post(f"{USER}/password", set_password)
    router.add_post(f"{USER}/unlock", unlock)
    router.add_post(f"{ACCOUNT}/imports", import_users)
