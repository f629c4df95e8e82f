"""`/v1/wordings/{account}`: an account's own wording, and how its messages look."""

import msgspec
from aiohttp import web

from services.delivery.messages import own
from services.delivery.messages.own import Wording
from services.delivery.messages.sources import CODE, NAMES
from services.delivery.routes.parts import PARTS, Parts, whose
from services.platform.http import Problem, body, json_response


class PreviewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`wording` is one to try; without it the one that the account has. `message` is `code` or a notice."""

    message: str = CODE
    locale: str | None = None
    wording: Wording | None = None


async def show(request: web.Request) -> web.Response:
    account, _ = await whose(request)
    return _shown(account, await request.app[PARTS].wordings.find(account))


async def change(request: web.Request) -> web.Response:
    account, who = await whose(request)
    parts, wording = request.app[PARTS], await body(request, Wording)
    _check(parts, wording)
    await parts.wordings.put(account, wording, who.name)
    return _shown(account, wording)


async def take_back(request: web.Request) -> web.Response:
    account, who = await whose(request)
    await request.app[PARTS].wordings.put(account, None, who.name)
    return _shown(account, Wording())


async def preview(request: web.Request) -> web.Response:
    account, _ = await whose(request)
    parts, asked = request.app[PARTS], await body(request, PreviewBody)
    if asked.message not in NAMES:
        raise Problem(400, "bad-request", f"message is one of {', '.join(NAMES)}.")
    wording = asked.wording or await parts.wordings.find(account)
    _check(parts, wording)
    return json_response(parts.secrets.words.preview(asked.message, wording, asked.locale, parts.clock.now()))


def _shown(account: object, wording: Wording) -> web.Response:
    return json_response({"account": account, "wording": wording})


def _check(parts: Parts, wording: Wording) -> None:
    words = parts.secrets.words
    try:
        own.check(wording, words.library, words.host)
    except own.BadWording as bad:
        raise Problem(400, "bad-wording", str(bad), field=bad.field) from None
