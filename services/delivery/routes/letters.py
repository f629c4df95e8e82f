"""`/v1/dead-letters`."""

from aiohttp import web

from services.delivery import dead_letters
from services.delivery.routes.parts import PARTS, caller, not_found, uuid_at
from services.platform.http import Problem, json_response
from services.platform.keys.contacts import SealBroken
from services.platform.keys.keyring import UnknownKey


async def listed(request: web.Request) -> web.Response:
    await caller(request)
    return json_response({"dead_letters": await request.app[PARTS].letters.newest(200)})


async def again(request: web.Request) -> web.Response:
    who = await caller(request)
    parts, letter_id = request.app[PARTS], uuid_at(request, "letter_id")
    row = await parts.letters.find(letter_id)
    if row is None:
        raise not_found("There is no such dead letter.")
    try:
        await dead_letters.take_again(row, parts.opener, parts.ingest)
    except dead_letters.NotOurs:
        text = f"{row['service']} refused this record of {row['topic']}; only that service can take it again."
        raise Problem(409, "not-replayable-here", text) from None
    except (SealBroken, UnknownKey):
        raise Problem(409, "dead-letter-unreadable", "The key that opens this dead letter is not here.") from None
    await parts.letters.mark(letter_id, who.name)
    return json_response({"id": letter_id, "taken": True}, 202)
