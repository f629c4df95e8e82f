"""`/operations/logins/{login_id}`: what became of a login's codes, as a picture and in words."""

from uuid import UUID

import msgspec
from aiohttp import web

from services.delivery.operations.picture import picture_of
from services.delivery.routes.parts import PARTS, not_found
from services.delivery.terminal import words
from services.platform.ui.console import framed, visitor

NOTHING = "Delivery has no message of such a login: its id may be mistyped, or nothing was sent for it."


async def show(request: web.Request) -> web.Response:
    await visitor(request)
    try:
        login_id = UUID(request.match_info["login_id"])
    except ValueError:
        raise not_found(NOTHING) from None
    found = await request.app[PARTS].reading.timeline(login_id, None)
    if found is None:
        raise not_found(NOTHING)
    steps = [msgspec.to_builtins(step) for step in found.steps]
    return framed(
        request,
        "timeline.html",
        heading=f"Login …{str(login_id)[-8:]}",
        current="/operations/messages",
        found=found,
        picture=picture_of(found),
        steps=[(step, words.explained(step)) for step in steps],
    )
