"""`/operations/live`: every step as it happens. Without a script: the newest ones, and a button to look again."""

from typing import Any, Final

import msgspec
from aiohttp import web
from yarl import URL

from services.delivery.deliveries import Step, StreamQuery
from services.delivery.operations import fields
from services.delivery.routes.parts import PARTS
from services.delivery.routes.reading import NOT_ANY_MORE, Telling, last_seen, tell
from services.delivery.states import State
from services.delivery.terminal import words
from services.platform.http import Problem
from services.platform.ui import forgery
from services.platform.ui.console import framed, visitor
from services.platform.ui.pages import fragment

LOOKED_AT: Final = 2_000
SHOWN: Final = 50


async def show(request: web.Request) -> web.Response:
    await visitor(request)
    parts, typed = request.app[PARTS], fields.query_of(request.query, StreamQuery)
    asked = fields.read(typed, StreamQuery)
    newest = await parts.reading.newest_steps(LOOKED_AT)
    found = [] if asked.wrong else [step for step in newest if asked.value.takes(step)][-SHOWN:]
    after = {"after": str(newest[-1].id)} if newest else {}
    return framed(
        request,
        "live.html",
        heading="Live",
        typed=typed,
        wrong=asked.wrong,
        steps=[row_of(step) for step in reversed(found)],
        again=str(request.rel_url),
        stream="" if asked.wrong else URL("/operations/live/steps").with_query(typed | after),
        states=[state.value for state in State],
        providers=await parts.controls.providers(),
    )


async def steps(request: web.Request) -> web.StreamResponse:
    """Server-sent events: each a row of the table. `after` is the newest step that the page has."""
    forgery.by_own_script(request)
    found = await visitor(request)
    asked = fields.read(fields.query_of(request.query, StreamQuery), StreamQuery)
    if asked.wrong:
        raise Problem(400, "bad-request", "A filter does not fit.")

    async def may_still() -> bool:
        try:
            await visitor(request)
        except web.HTTPException:
            return False
        except Problem as problem:
            return problem.status not in NOT_ANY_MORE
        return True

    def row(step: Step) -> bytes:
        return msgspec.json.encode(fragment(request, "_step.html", **row_of(step)))

    return await tell(request, asked.value, Telling(_seen(request), row, may_still, found.user.name))


def _seen(request: web.Request) -> int | None:
    """A browser that comes again says how far it is; one that comes first says it in the address."""
    if (seen := last_seen(request)) is not None:
        return seen
    after = request.query.get("after", "")
    return int(after) if after.isdecimal() and len(after) < 19 else None


def row_of(step: Step) -> dict[str, Any]:
    told = msgspec.to_builtins(step)
    return {"step": told, "at": step.at, "explained": words.explained(told)}
