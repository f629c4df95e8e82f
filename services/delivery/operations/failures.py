"""`/operations/failures`: what did not arrive, by reason."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web
from yarl import URL

from services.delivery import replay
from services.delivery.deliveries import NONE, Failure, Wanted
from services.delivery.operations import fields
from services.delivery.routes.parts import PARTS, Parts
from services.delivery.states import State
from services.delivery.terminal import words
from services.platform.ui.console import framed, visitor

HOURS: Final = {"1": "last hour", "6": "last 6 hours", "24": "last day", "168": "last week"}
JUDGED: Final = 1000
"""Messages of all groups together that are judged as a replay would: one takes about a quarter of a millisecond."""
NONE_LIVE: Final = replay.Counted(matched=0, counts={replay.REPLAYED: 0})


async def show(request: web.Request) -> web.Response:
    await visitor(request)
    parts, hours = request.app[PARTS], hours_of(request)
    asked = fields.read({"account": request.query.get("account", "")}, Wanted)
    since = parts.clock.now() - timedelta(hours=int(hours))
    account = asked.value.account
    found = await parts.reading.failures(since, account)
    most = JUDGED // max(1, sum(bool(group.live) for group in found.groups))
    judged = [await would_send(parts, group, account, most) for group in found.groups]
    begin = since.replace(microsecond=0).isoformat()
    return framed(
        request,
        "failures.html",
        heading="Failures",
        hours=hours,
        times=HOURS,
        account=request.query.get("account", ""),
        wrong=asked.wrong,
        groups=[shown(*each, begin, account) for each in zip(found.groups, judged, strict=True)],
        more=found.more,
        total=sum(group.many for group in found.groups),
    )


def hours_of(request: web.Request) -> str:
    hours = request.query.get("hours", "1")
    return hours if hours in HOURS else "1"


async def would_send(parts: Parts, group: Failure, account: UUID | None, most: int) -> replay.Counted:
    """Of the group's messages whose codes are not over, by the rule of a replay."""
    if not group.live:
        return NONE_LIVE
    wanted = Wanted(
        account=account,
        state=State(group.state),
        reason=group.reason or NONE,
        channel=group.channel,
        provider=group.provider or NONE,
        since=group.live_since,
    )
    return await replay.would_send(parts.replays, wanted, parts.clock.now(), parts.limits, most)


def shown(group: Failure, judged: replay.Counted, since: str, account: UUID | None) -> dict[str, Any]:
    """With what it means, what would be sent again and why not the rest, and where one sees its messages."""
    picked = {name: getattr(group, name) or NONE for name in ("state", "reason", "channel", "provider")}
    picked |= {"since": since} | ({"account": str(account)} if account else {})
    step = {"what": group.state, "reason": group.reason, "provider": group.provider, "ms": 0}
    return msgspec.structs.asdict(group) | {
        "explained": words.explained(step),
        "sends": judged.counts[replay.REPLAYED],
        "more": judged.more,
        "skipped": {name: many for name, many in judged.counts.items() if many and name != replay.REPLAYED},
        "messages": str(URL("/operations/messages").with_query(picked)),
        "replay": str(URL("/operations/replays/new").with_query(picked)),
    }
