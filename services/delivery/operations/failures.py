"""`/operations/failures`: what did not arrive, by reason."""

from datetime import timedelta
from typing import Any, Final

import msgspec
from aiohttp import web
from yarl import URL

from services.delivery.deliveries import Failure, Wanted
from services.delivery.operations import fields
from services.delivery.routes.parts import PARTS
from services.delivery.terminal import words
from services.platform.ui.console import framed, visitor

HOURS: Final = {"1": "last hour", "6": "last 6 hours", "24": "last day", "168": "last week"}


async def show(request: web.Request) -> web.Response:
    await visitor(request)
    parts, hours = request.app[PARTS], hours_of(request)
    asked = fields.read({"account": request.query.get("account", "")}, Wanted)
    since = parts.clock.now() - timedelta(hours=int(hours))
    found = await parts.reading.failures(since, asked.value.account)
    return framed(
        request,
        "failures.html",
        heading="Failures",
        hours=hours,
        times=HOURS,
        account=request.query.get("account", ""),
        wrong=asked.wrong,
        groups=[shown(group, since.replace(microsecond=0).isoformat(), asked.value.account) for group in found.groups],
        more=found.more,
        total=sum(group.many for group in found.groups),
    )


def hours_of(request: web.Request) -> str:
    hours = request.query.get("hours", "1")
    return hours if hours in HOURS else "1"


def shown(group: Failure, since: str, account: Any) -> dict[str, Any]:
    """With what it means, and where one sees its messages and sends them again."""
    given = {name: getattr(group, name) for name in ("state", "reason", "channel", "provider")}
    picked = {name: str(value) for name, value in given.items() if value is not None}
    picked |= {"since": since} | ({"account": str(account)} if account else {})
    step = {"what": group.state, "reason": group.reason, "provider": group.provider, "ms": 0}
    return msgspec.structs.asdict(group) | {
        "explained": words.explained(step),
        "messages": str(URL("/operations/messages").with_query(picked)),
        "replay": str(URL("/operations/replays/new").with_query(picked)),
    }
