"""Providers and routes: who sends what, in which order; live in every worker within two seconds."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from schemas.events import Country
from services.delivery.lanes import Lane, Provider
from services.delivery.pauses import ANY
from services.delivery.postgres.controls import NoSuchProvider
from services.delivery.routes.parts import PARTS, Parts, caller, known_country, known_provider, not_found
from services.delivery.routing import Route
from services.platform.http import Problem, body, json_response

Place = Annotated[int, Meta(ge=0, le=1000)]
Slots = Annotated[int, Meta(ge=1, le=1024)]
Rate = Annotated[float, Meta(ge=0.01, le=100_000)]


class ProviderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`slots` and `per_second` are limits of each worker; null takes the limit away."""

    enabled: bool | UnsetType = UNSET
    weight: Place | UnsetType = UNSET
    position: Place | UnsetType = UNSET
    slots: Slots | UnsetType | None = UNSET
    per_second: Rate | UnsetType | None = UNSET


class RouteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    provider: str
    position: Place = 0
    weight: Place = 1


class RoutesBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All routes of one account, one country (ISO 3166-1), or both; none: the next closest ones count again."""

    providers: Annotated[tuple[RouteBody, ...], Meta(max_length=20)]
    account: UUID | None = None
    country: Country | None = None


async def listed(request: web.Request) -> web.Response:
    await caller(request)
    return json_response({"providers": await rows(request.app[PARTS])})


async def rows(parts: Parts) -> list[dict[str, Any]]:
    """`breaker` and `under_way` are this worker's own; one that the settings do not name is not `configured`."""
    here = {lane.channel.name: _in_this_worker(lane) for lane in parts.routing.lanes()}
    return [
        msgspec.to_builtins(row) | {"configured": row.name in here} | here.get(row.name, {})
        for row in await parts.controls.providers()
    ]


def _in_this_worker(lane: Lane) -> dict[str, Any]:
    return {"breaker": lane.breaker.state, "under_way": lane.under_way}


async def change(request: web.Request) -> web.Response:
    who = await caller(request)
    wanted: dict[str, Any] = msgspec.to_builtins(await body(request, ProviderBody))
    if not wanted:
        raise Problem(400, "bad-request", "Name at least one of enabled, weight, position, slots, per_second.")
    changed = await request.app[PARTS].controls.change_provider(request.match_info["provider"], wanted, who.name)
    if changed is None:
        raise not_found("There is no such provider.")
    return json_response(changed)


async def routes(request: web.Request) -> web.Response:
    await caller(request)
    return json_response({"routes": await request.app[PARTS].controls.routes()})


def _check(wanted: Sequence[Route], rows: Sequence[Provider]) -> None:
    """An e-mail has no country, so that route would never count."""
    channels = {row.name: row.channel for row in rows}
    for route in wanted:
        known_provider(route.provider, channels)
        if route.country != ANY and channels[route.provider] == "email":
            text = f"{route.provider} sends e-mails, which have no country. Route it by account, or for all."
            raise Problem(400, "bad-request", text)


async def set_routes(request: web.Request) -> web.Response:
    who = await caller(request)
    asked = await body(request, RoutesBody)
    account, country = str(asked.account) if asked.account else ANY, asked.country or ANY
    if len({each.provider for each in asked.providers}) < len(asked.providers):
        raise Problem(400, "bad-request", "A provider may stand in providers once.")
    wanted = [Route(account=account, country=country, **msgspec.to_builtins(each)) for each in asked.providers]
    if wanted and asked.country:
        known_country(asked.country)
    controls = request.app[PARTS].controls
    _check(wanted, await controls.providers())
    try:
        await controls.set_routes(account, country, wanted, who.name)
    except NoSuchProvider:
        raise Problem(400, "bad-request", "providers names one that GET /v1/providers does not list.") from None
    return json_response({"routes": wanted})
