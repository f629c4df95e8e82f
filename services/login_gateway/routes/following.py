"""Server-sent events about one login: a word whenever it changed, until the login ends."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple
from uuid import UUID

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from services.login_gateway import status
from services.login_gateway.house import HOUSE, House
from services.platform.http import LEAVING, Leaving, Problem
from services.platform.postgres import AWAY

LOOK_EVERY: Final = 0.25
LONGEST_STREAM: Final = 660.0
MOST_STREAMS: Final = 2


class Word(NamedTuple):
    """`about` is compared with what was said before; `text` is sent; after `last` the stream ends."""

    about: Any
    text: str
    last: bool


Tell = Callable[[Mapping[str, Any]], Word]


class Streams:
    """At most two for each login in this process: the oldest gives way, so a page that was left is no hindrance."""

    def __init__(self) -> None:
        self._open: dict[UUID, list[asyncio.Event]] = {}

    @contextmanager
    def one_more(self, login_id: UUID) -> Iterator[asyncio.Event]:
        """The event is set when a newer stream takes this one's place."""
        mine, all_of_it = asyncio.Event(), self._open.setdefault(login_id, [])
        all_of_it.append(mine)
        for old in all_of_it[:-MOST_STREAMS]:
            old.set()
        try:
            yield mine
        finally:
            all_of_it.remove(mine)
            if not all_of_it:
                self._open.pop(login_id, None)


STREAMS: Final[web.AppKey[Streams]] = web.AppKey("streams", Streams)


async def follow(request: web.Request, login_id: UUID, tell: Tell) -> web.StreamResponse:
    """One `state` at once and whenever the word changed; `elsewhere` when two newer streams follow this login."""
    house = request.app[HOUSE]
    first = tell(await status.one(house, login_id))
    async with sse_response(request) as out:
        with suppress(Problem, *AWAY):  # the stream ends; whoever comes again is told why
            async with asyncio.timeout(LONGEST_STREAM):
                with request.app[STREAMS].one_more(login_id) as replaced:
                    await _follow(house, login_id, tell, out, first, replaced, request.config_dict[LEAVING])
    return out


async def _follow(
    house: House,
    login_id: UUID,
    tell: Tell,
    out: EventSourceResponse,
    word: Word,
    replaced: asyncio.Event,
    leaving: Leaving,
) -> None:
    await out.send(word.text, event="state")
    while out.is_connected() and not (word.last or replaced.is_set() or leaving.begun):
        await asyncio.sleep(LOOK_EVERY)
        before, word = word, tell(await status.one(house, login_id))
        if word.about != before.about:
            await out.send(word.text, event="state")
    if replaced.is_set():
        await out.send("", event="elsewhere")
