"""`/operations/dead-letters`: records that could not be used: where from and why; look, take again, put away."""

from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web
from yarl import URL

from services.delivery.dead_letters import Discard, Letter, Letters
from services.delivery.operations import fields
from services.delivery.routes.letters import before, cursor_of, is_discarded, told
from services.delivery.routes.parts import PARTS
from services.platform.http import Problem
from services.platform.ui.console import ask_fresh, framed, sent, visitor
from services.platform.ui.pages import see_other

MOST: Final = 50
WHY: Final = "Say in 3 to 200 characters why nobody needs it."


async def listed(request: web.Request) -> web.Response:
    """Those that are open, unless another state is asked for; `any` is all of them."""
    await visitor(request)
    typed = {"state": "open"} | fields.query_of(request.query, Letters)
    asked = fields.read({**typed, "state": typed["state"].replace("any", "")}, Letters)
    place = before(request.query.get("cursor"))
    found = [] if asked.wrong else await request.app[PARTS].letters.page(asked.value, place, MOST + 1)
    more = len(found) > MOST
    older = URL("/operations/dead-letters").with_query(typed | {"cursor": cursor_of(found[MOST - 1])}) if more else None
    return framed(
        request,
        "letters.html",
        heading="Dead letters",
        typed=typed,
        wrong=asked.wrong,
        letters=found[:MOST],
        older=older,
    )


async def show(request: web.Request) -> web.Response:
    await visitor(request)
    return await _page(request)


async def record(request: web.Request) -> web.Response:
    """With the shape of the record; audited before it is opened."""
    found = await visitor(request)
    ask_fresh(request, found.user)
    row, parts = await _row(request), request.app[PARTS]
    await parts.letters.opened(row["id"], found.user.name, "show")
    with told(row):
        content = parts.taker.content(row)
    text = msgspec.json.format(msgspec.json.encode(content.record), indent=2).decode()
    return await _page(request, content=content, shown=text)


async def again(request: web.Request) -> web.Response:
    found, _ = await sent(request)
    row, parts = await _row(request), request.app[PARTS]
    if row["discarded_at"] is not None:
        raise is_discarded()
    with told(row):
        taken = await parts.taker.take_again(row)
    await parts.letters.mark(row["id"], found.user.name)
    return see_other(f"{_address(row['id'])}?said={'taken' if taken else 'still-bad'}")


async def discard(request: web.Request) -> web.Response:
    found, given = await sent(request)
    row, parts = await _row(request), request.app[PARTS]
    try:
        asked = msgspec.convert({"reason": given.get("reason", "").strip()}, Discard)
    except msgspec.ValidationError:
        return await _page(request, 400, typed=given, wrong={"reason": WHY})
    if not await parts.letters.discard(row["id"], found.user.name, asked.reason):
        raise is_discarded()
    return see_other(_address(row["id"]))


async def _page(request: web.Request, status: int = 200, **more: Any) -> web.Response:
    row = await _row(request)
    letter: Letter | None = await request.app[PARTS].letters.letter(row["id"])
    context = {"content": None, "shown": "", "typed": {}, "wrong": {}} | more
    said = request.query.get("said", "")
    return framed(
        request,
        "letter.html",
        status,
        heading="Dead letter",
        letter=letter,
        address=_address(row["id"]),
        said=said,
        **context,
    )


async def _row(request: web.Request) -> dict[str, Any]:
    missing = Problem(404, "not-found", "There is no such dead letter.")
    try:
        row = await request.app[PARTS].letters.find(UUID(request.match_info["letter_id"]))
    except ValueError:
        raise missing from None
    if row is None:
        raise missing
    return row


def _address(letter_id: UUID) -> str:
    return f"/operations/dead-letters/{letter_id}"
