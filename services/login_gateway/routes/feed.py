"""`/v1/feed/logins`: a platform's logins, by its own references."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, NamedTuple, Protocol, Self
from uuid import UUID
from weakref import WeakValueDictionary

import structlog
from aiohttp import web

from services.login_gateway import status
from services.login_gateway.feed import Fed, FedLogin, FeedBody, outcome
from services.login_gateway.feed_budget import Budget
from services.login_gateway.guessing import may_feed
from services.login_gateway.house import HOUSE, House
from services.login_gateway.routes.logins import about, sent_again, shown_at_once, verified
from services.login_gateway.who import caller
from services.platform import metrics
from services.platform.auth import EVERY, Client
from services.platform.http import LARGE_BODY_LIMIT, Problem, decoded, json_response, raw_body, too_many

log = structlog.get_logger()

PATH: Final = "/v1/feed/logins"
PATIENCE_SECONDS: Final = 15.0


class Batches(Protocol):
    """Where the items of a call go; one that somebody is in the way of is refused as `busy`."""

    async def open(self, client_id: str, account_id: UUID, items: Sequence[FedLogin]) -> list[Fed]: ...


class Feeding(NamedTuple):
    """What batches are worked on with: connections of their own, few at once, so that nobody else waits for them. No
    more than these of one account (`of_account`) stand in line, so that another one waits for few of them.
    """

    house: House
    batches: Batches
    room: asyncio.Semaphore
    of_account: MutableMapping[UUID, asyncio.Semaphore]

    @classmethod
    def of(cls, house: House, batches: Batches) -> Self:
        return cls(house, batches, asyncio.Semaphore(house.settings.feed_calls), WeakValueDictionary())


FEEDING: Final[web.AppKey[Feeding]] = web.AppKey("feeding", Feeding)


def add_routes(app: web.Application, feeding: Feeding) -> None:
    app[FEEDING] = feeding
    app.router.add_post(PATH, take)
    app.router.add_get(f"{PATH}/{{reference}}", state)
    app.router.add_post(f"{PATH}/{{reference}}/verify", verify)
    app.router.add_post(f"{PATH}/{{reference}}/resend", resend)


async def take(request: web.Request) -> web.Response:
    """An answer for each item, in order; one that is refused does not stop the others. What the account's budget has no
    room for is refused as a whole, before any of it is done.
    """
    _, client, account = await _client(request)
    data = await raw_body(request, LARGE_BODY_LIMIT)  # who sends it slowly keeps nobody else out
    async with _room(request, account) as (house, batches):
        await may_feed(house, client.client_id)
        given = decoded(data, FeedBody)
        budget = await _spent(house, account, len(given.logins))
        results = await batches.open(client.client_id, account, given.logins)
        await house.feeds.count(client.client_id, sum(fed.new for fed in results))
    _told(client.client_id, results)
    return json_response({"logins": [_shown(house, fed) for fed in results]}, headers=budget.fields())


@asynccontextmanager
async def _room(request: web.Request, account: UUID) -> AsyncIterator[tuple[House, Batches]]:
    """Raises 503 `busy` after some seconds in which others were worked on."""
    feeding = request.app[FEEDING]
    own = feeding.of_account.setdefault(account, asyncio.Semaphore(feeding.house.settings.feed_calls))
    async with AsyncExitStack() as places:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for place in (own, feeding.room):
                    await places.enter_async_context(place)
        except TimeoutError:
            detail = "Other feeds are being worked on. Send it again."
            raise Problem(503, "busy", detail, {"Retry-After": "1"}) from None
        yield feeding.house, feeding.batches


async def _spent(house: House, account: UUID, logins: int) -> Budget:
    """Raises 429 `feed-budget-spent`, and then nothing is spent."""
    granted, budget = await house.feeds.spend(account, logins)
    if granted:
        return budget
    wait = budget.seconds_until(logins)
    detail = f"The account feeds {budget.per_minute} logins a minute; {budget.left} of these {logins} fit now."
    problem = too_many("feed-budget-spent", detail, wait, **{"violated-policies": ["logins"]})
    problem.headers |= budget.fields(wait)
    raise problem


def _told(client_id: str, results: Sequence[Fed]) -> None:
    for fed in results:
        metrics.FED.labels("http", outcome(fed)).inc()
        if fed.new and fed.login is not None:
            log.info("login_opened", login_id=str(fed.login["login_id"]), fed_by=client_id)


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
    if fed.login is None:
        return {"reference": fed.reference, "status": "refused", "reason": fed.reason}
    return {"reference": fed.reference, **(shown_at_once(house, fed.login) or status.view(house, fed.login))}
