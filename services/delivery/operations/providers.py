"""`/operations/providers`: how each one does, its switch and its limits, and what operators hold back."""

from collections.abc import Mapping

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from services.delivery.operations import fields
from services.delivery.operations.overview import span_of
from services.delivery.pauses import ANY, Pause
from services.delivery.routes.operating import PauseBody, now_held, pause_of
from services.delivery.routes.parts import PARTS, Parts, known_country, known_provider, not_found
from services.delivery.routes.providers import Place, ProviderBody, Rate, Slots, rows
from services.platform.http import Problem
from services.platform.ui.console import Visitor, framed, sent, visitor
from services.platform.ui.pages import see_other

PAGE = "/operations/providers"


class Limits(msgspec.Struct, frozen=True):
    """The form of one provider. An empty limit takes it away."""

    weight: Place | UnsetType = UNSET
    position: Place | UnsetType = UNSET
    slots: Slots | None = None
    per_second: Rate | None = None


async def show(request: web.Request) -> web.Response:
    await visitor(request)
    return await _page(request)


async def change(request: web.Request) -> web.Response:
    """Either its switch (`enabled`) or its place and limits."""
    found, given = await sent(request)
    name = request.match_info["provider"]
    if "enabled" in given:
        wanted = ProviderBody(enabled=given["enabled"] == "yes")
    else:
        read = fields.read(given, Limits)
        if read.wrong:
            return await _page(request, of=name, typed=given, wrong=read.wrong)
        wanted = ProviderBody(**msgspec.structs.asdict(read.value))
    changed = await request.app[PARTS].controls.change_provider(name, msgspec.to_builtins(wanted), found.user.name)
    if changed is None:
        raise not_found("There is no such provider.")
    return see_other(f"{PAGE}#{name}")


async def pause(request: web.Request) -> web.Response:
    found, given = await sent(request)
    parts, read = request.app[PARTS], fields.read(given, PauseBody)
    wrong = {**read.wrong, **({} if read.wrong else await _unknown(parts, read.value))}
    if wrong:
        return await _page(request, of="pause", typed=given, wrong=wrong)
    return await _held(request, found, pause_of(read.value), begins=True)


async def resume(request: web.Request) -> web.Response:
    found, given = await sent(request)
    read = fields.read({name: value for name, value in given.items() if value != ANY}, PauseBody)
    if read.wrong:  # without that field it would be another, wider pause
        raise Problem(400, "bad-request", "There is no such pause.")
    return await _held(request, found, pause_of(read.value), begins=False)


async def _held(request: web.Request, who: Visitor, asked: Pause, begins: bool) -> web.Response:
    controls = request.app[PARTS].controls
    await (controls.pause if begins else controls.resume)(asked, who.user.name)
    await now_held(request.app[PARTS])
    return see_other(f"{PAGE}#held")


async def _unknown(parts: Parts, asked: PauseBody) -> dict[str, str]:
    wrong = {}
    try:
        if asked.country is not None:
            known_country(asked.country)
    except Problem as problem:
        wrong["country"] = problem.detail
    try:
        if asked.provider is not None:
            known_provider(asked.provider, [row.name for row in await parts.controls.providers()])
    except Problem as problem:
        wrong["provider"] = problem.detail
    return wrong


async def _page(
    request: web.Request, of: str = "", typed: Mapping[str, str] | None = None, wrong: Mapping[str, str] | None = None
) -> web.Response:
    """`of` names the form that `typed` and `wrong` belong to."""
    parts, span = request.app[PARTS], span_of(request)
    figures = await parts.charts.figures(span)
    by_name = {one.provider: one for one in figures.providers}
    return framed(
        request,
        "providers.html",
        400 if wrong else 200,
        heading="Providers",
        figures=figures,
        providers=[(row, by_name.get(row["name"])) for row in await rows(parts)],
        pauses=await parts.controls.paused(),
        countries=[dict(row) for row in await parts.guarding.by_country(None, 7 if span == "day" else 1)],
        is_priced=bool(parts.settings.guard_prices),
        of=of,
        typed=typed or {},
        wrong=wrong or {},
        any=ANY,
    )
