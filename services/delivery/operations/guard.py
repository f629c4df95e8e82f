"""`/operations/guard`: what the guard against pumping sees and stops; letting honest numbers through."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta
from yarl import URL

from services.delivery.guard_view import Allowed, GuardQuery
from services.delivery.operations import fields
from services.delivery.routes.guard import let_through, seen
from services.delivery.routes.parts import PARTS, Parts
from services.delivery.states import Reason
from services.platform.http import Problem
from services.platform.ui.console import framed, sent, visitor
from services.platform.ui.pages import see_other

PAGE: Final = "/operations/guard"
DAYS: Final = {"1": "today (UTC)", "7": "7 days", "35": "35 days"}
HOURS: Final = {"24": "for a day", "72": "for 3 days", "168": "for a week", "720": "for 30 days"}
HOUR: Final = timedelta(hours=1)
WHOSE: Final = "Whose numbers are they? The account's id."
WHICH: Final = "Which numbers? A block of a thousand or of ten thousand, like +44 7400 123 or +44 7400 12."


class Letting(msgspec.Struct, frozen=True):
    """The form. 0 hours end it."""

    account: UUID | None = None
    prefix: Annotated[str, Meta(min_length=3, max_length=40)] | None = None
    hours: Annotated[int, Meta(ge=0, le=720)] = 24


async def show(request: web.Request) -> web.Response:
    await visitor(request)
    return await _page(request, fields.read(request.query, GuardQuery))


async def allow(request: web.Request) -> web.Response:
    found, given = await sent(request)
    read = fields.read(given, Letting)
    missing = {"account": WHOSE, "prefix": WHICH}
    wrong = {name: text for name, text in missing.items() if getattr(read.value, name) is None} | dict(read.wrong)
    if not wrong:
        account, asked = read.value.account, Allowed(prefix=read.value.prefix, hours=read.value.hours)
        try:
            known = await let_through(request.app[PARTS], account, asked, found.user)
        except Problem as problem:
            wrong = {"prefix": problem.detail}
        else:
            said = _said(known, asked.hours)
            return see_other(str(URL(PAGE).with_query(account=str(account), said=said).with_fragment("blocks")))
    of = fields.Read(GuardQuery(account=read.value.account), {})
    return await _page(request, of, typed=given, wrong=wrong)


def _said(known: bool, hours: int) -> str:
    if hours:
        return "let-through" if known else "let-through-ahead"
    return "ended" if known else "was-not"


async def _page(
    request: web.Request,
    of: fields.Read,
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
) -> web.Response:
    """`of` is the list's filter; `typed` and `wrong` belong to the form."""
    parts, asked = request.app[PARTS], of.value
    found = await seen(parts, asked.account, asked.days)
    return framed(
        request,
        "guard.html",
        400 if wrong else 200,
        heading="Guard",
        account=asked.account,
        filter=dict(request.query) if request.method == "GET" else {"account": (typed or {}).get("account", "")},
        filter_wrong=of.wrong,
        days=str(asked.days),
        times=DAYS,
        lengths=HOURS,
        countries=[dict(row) for row in await parts.guarding.by_country(asked.account, asked.days)],
        own=await _own(parts, asked.account),
        is_priced=bool(parts.settings.guard_prices),
        window_hours=parts.settings.guard_window_hours,
        said=request.query.get("said", ""),
        send_again=_send_again(parts, asked.account),
        typed=typed or {},
        wrong=wrong or {},
        **found,
    )


async def _own(parts: Parts, account: UUID | None) -> dict[str, Any]:
    """What the account has instead of the installation's settings."""
    return msgspec.to_builtins(await parts.guarding.find(account)) if account else {}


def _send_again(parts: Parts, account: UUID | None) -> URL:
    """What the guard stopped while codes that are good still were made: nothing of it goes out by itself."""
    since = (parts.clock.now() - HOUR).replace(microsecond=0).isoformat()
    picked = {"reason": Reason.GUARD_CONVERSION.value, "channel": "sms", "since": since}
    return URL("/operations/replays/new").with_query(picked | ({"account": str(account)} if account else {}))
