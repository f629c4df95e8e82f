"""`/v1/feed/logins`: a platform's logins, by its own references."""

from typing import Any
from uuid import UUID

import structlog
from aiohttp import web

from services.login_gateway import status
from services.login_gateway.feed import Fed, FeedBody, feed
from services.login_gateway.guessing import may_feed
from services.login_gateway.house import HOUSE, House
from services.login_gateway.routes.logins import about, sent_again, shown_at_once, verified
from services.login_gateway.who import caller
from services.platform.auth import EVERY, Client
from services.platform.http import LARGE_BODY_LIMIT, Problem, body, json_response

log = structlog.get_logger()

PATH = "/v1/feed/logins"


def add_routes(app: web.Application) -> None:
    app.router.add_post(PATH, take)
    app.router.add_get(f"{PATH}/{{reference}}", state)
    app.router.add_post(f"{PATH}/{{reference}}/verify", verify)
    app.router.add_post(f"{PATH}/{{reference}}/resend", resend)


async def take(request: web.Request) -> web.Response:
    """An answer for each item, in order; one that is refused does not stop the others."""
    house, client, account = await _client(request)
    await may_feed(house, client.client_id)
    given = await body(request, FeedBody, LARGE_BODY_LIMIT)
    results = [await feed(house, client.client_id, account, item) for item in given.logins]
    for fed in results:
        if fed.new and fed.login is not None:
            log.info("login_opened", login_id=str(fed.login["login_id"]), fed_by=client.client_id)
    await house.feeds.count(client.client_id, sum(fed.new for fed in results))
    return json_response({"logins": [_shown(house, fed) for fed in results]})


async def state(request: web.Request) -> web.Response:
    house, _, account = await _client(request)
    return json_response(status.view(house, await status.one(house, await _login(request, house, account))))


async def verify(request: web.Request) -> web.Response:
    house, _, account = await _client(request)
    login_id = await _login(request, house, account)
    return json_response(await verified(request, house, login_id))


async def resend(request: web.Request) -> web.Response:
    house, _, account = await _client(request)
    return json_response(await sent_again(request, house, await _login(request, house, account)), 202)


async def _client(request: web.Request) -> tuple[House, Client, UUID]:
    who = await caller(request)
    if not isinstance(who, Client) or who.account == EVERY:
        raise Problem(403, "forbidden", "Feeding needs a client that belongs to one account.")
    return request.app[HOUSE], who, UUID(who.account)


async def _login(request: web.Request, house: House, account: UUID) -> UUID:
    row = await house.feeds.by_reference(account, request.match_info["reference"].replace("\x00", ""))
    if row is None:
        raise Problem(404, "not-found", "There is no login with this reference.")
    return about(row["login_id"])


def _shown(house: House, fed: Fed) -> dict[str, Any]:
    if fed.reason is not None:
        return {"reference": fed.reference, "status": "refused", "reason": fed.reason}
    if fed.login is None:
        return {"reference": fed.reference, "status": "refused", "reason": "unknown-user"}
    return {"reference": fed.reference, **(shown_at_once(house, fed.login) or status.view(house, fed.login))}
