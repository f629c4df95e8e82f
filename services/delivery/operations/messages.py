"""`/operations/messages`: every message, newest first, by whatever one knows of it."""

from typing import Final

from aiohttp import web
from yarl import URL

from services.delivery import deliveries
from services.delivery.deliveries import ListQuery, Page
from services.delivery.operations import fields
from services.delivery.routes.parts import PARTS
from services.delivery.states import State
from services.platform.http import Problem
from services.platform.ui.console import framed, visitor
from services.platform.ui.pages import see_other

KINDS: Final = ("login", "resend", "fallback", "replay", "notice")
NOTHING: Final = Page(deliveries=(), next=None)


async def show(request: web.Request) -> web.Response:
    await visitor(request)
    typed = fields.query_of(request.query, ListQuery)
    asked = fields.read(typed, ListQuery)
    if asked.value.login_id is not None and set(typed) == {"login_id"}:
        return see_other(f"/operations/logins/{asked.value.login_id}")
    page = NOTHING if asked.wrong else await _page(request, asked.value)
    older = URL("/operations/messages").with_query(typed | {"cursor": page.next}) if page.next else None
    return framed(
        request,
        "messages.html",
        heading="Messages",
        typed=typed,
        wrong=asked.wrong,
        page=page,
        older=older,
        states=[state.value for state in State],
        kinds=KINDS,
        providers=await request.app[PARTS].controls.providers(),
    )


async def _page(request: web.Request, asked: ListQuery) -> Page:
    try:
        return await deliveries.page(request.app[PARTS].reading, asked)
    except deliveries.BadCursor:
        raise Problem(400, "bad-request", "This page of the list is not there. Begin at the newest again.") from None
