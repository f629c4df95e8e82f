"""`/operations`: how delivery is now, and charts of the last hour or day."""

from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web
from yarl import URL

from services.delivery.figures import LENGTH, Span
from services.delivery.routes.parts import PARTS
from services.delivery.terminal.doctor_delivery import OF_DELIVERY
from services.platform.ui.console import framed, visitor

WHERE: Final[Mapping[str, tuple[str, str]]] = {
    "somebody-waits-for-a-code": ("/operations/live", "see what happens"),
    "codes-are-kept-back": ("/operations/providers#held", "see what is kept back"),
    "a-provider-fails": ("/operations/providers", "see the providers"),
    "receipts-do-not-come": ("/operations/failures", "see the failures"),
    "many-codes-go-by-e-mail": ("/operations/messages?cause=fallback", "see these e-mails"),
    "sms-are-stopped": ("/operations/guard", "see the guard"),
    "dead-letters-are-open": ("/operations/dead-letters", "see them"),
}
"""By the section of the guide: where one sees more."""


async def show(request: web.Request) -> web.Response:
    await visitor(request)
    parts, span = request.app[PARTS], span_of(request)
    health = msgspec.to_builtins(await parts.checkup.health())
    lines = [line for rule in OF_DELIVERY for line in rule(health)]
    figures = await parts.charts.figures(span)
    unreached = await parts.headcount.of(span)
    since = (parts.clock.now() - LENGTH[span]).replace(microsecond=0)
    totals = {name: sum(getattr(point, name) for point in figures.points) for name in ("made", "taken", "lost")}
    return framed(
        request,
        "overview.html",
        heading="Overview",
        health=health,
        troubles=[line for line in lines if line.status != "OK"],
        fine=[line for line in lines if line.status == "OK"],
        pages=WHERE,
        figures=figures,
        totals=totals,
        unreached=unreached,
        unreached_page=URL("/operations/messages").with_query(unreached="true", since=since.isoformat()),
    )


def span_of(request: web.Request) -> Span:
    return "day" if request.query.get("span") == "day" else "hour"
