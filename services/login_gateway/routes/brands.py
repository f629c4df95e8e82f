"""`/v1/accounts/{account}/brand`."""

from aiohttp import web

from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.brands import Brand
from services.login_gateway.postgres import brands
from services.login_gateway.who import BRAND, caller
from services.platform.http import body, json_response


async def show(request: web.Request) -> web.Response:
    who = await caller(request)
    return json_response(await brands.one(request.app[ADMINISTRATION], who, request.match_info["account"]))


async def put(request: web.Request) -> web.Response:
    who = await caller(request)
    wanted = await body(request, Brand)
    return json_response(await brands.put(request.app[ADMINISTRATION], who, request.match_info["account"], wanted))


def add(router: web.UrlDispatcher) -> None:
    router.add_get(BRAND, show)
    router.add_put(BRAND, put)
