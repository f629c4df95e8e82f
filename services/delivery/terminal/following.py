"""The live log, followed over HTTP: comes again by itself where it was cut off, and says so."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Final, NamedTuple

import aiohttp

from services.platform import cli

PAUSES: Final = (0.5, 1.0, 2.0, 5.0)
SILENT_SECONDS: Final = 40.0  # a comment comes every 15 s
HOPELESS: Final = frozenset({400, 401, 403, 404})

Step = dict[str, Any]


class Said(NamedTuple):
    """About the connection. `connected`: it stands."""

    text: str
    connected: bool


class Dropped(Exception):
    """The service ended the stream, and said why."""


class Events:
    """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), line by line."""

    def __init__(self, last: str = "") -> None:
        self.last = last
        self._kind, self._data = "", ""

    def line(self, line: str) -> Step | None:
        """Raises `Dropped`."""
        name, _, value = line.partition(": ")
        match name:
            case "id":
                self.last = value
            case "event":
                self._kind = value
            case "data":
                self._data = value
            case "":
                return self._whole()
        return None

    def _whole(self) -> Step | None:
        kind, data, self._kind, self._data = self._kind, self._data, "", ""
        if kind == "dropped":
            raise Dropped(json.loads(data)["reason"])
        step: Step | None = json.loads(data) if kind == "step" else None
        return step


async def follow(who: cli.Saved, asked: dict[str, str]) -> AsyncGenerator[Step | Said, None]:
    """For ever. Raises `cli.Refused` where coming again would not help."""
    events, failures = Events(), 0
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                async for heard in _once(session, who, asked, events):
                    failures = 0
                    yield heard
                text = "the stream ended"
            except Dropped as why:
                text = f"the stream was cut: {why}"
            except (aiohttp.ClientError, TimeoutError, OSError) as away:
                text = f"{who.delivery} does not answer ({type(away).__name__})"
            except cli.Refused as refused:
                if refused.status in HOPELESS:
                    raise
                text = str(refused)
            pause = PAUSES[min(failures, len(PAUSES) - 1)]
            failures += 1
            yield Said(f"{text}; again in {pause:g} s, {_from(events)}", connected=False)
            await asyncio.sleep(pause)


def _from(events: Events) -> str:
    return f"from step {events.last} on" if events.last else "from then on"


async def _once(
    session: aiohttp.ClientSession, who: cli.Saved, asked: dict[str, str], events: Events
) -> AsyncIterator[Step | Said]:
    headers = {"Authorization": who.authorization} | ({"Last-Event-ID": events.last} if events.last else {})
    async with session.get(f"{who.delivery}/v1/deliveries/stream", params=asked, headers=headers) as answer:
        if answer.status != 200:
            cli.read(who.delivery, max(answer.status, 400), await answer.read())
        yield Said(f"following {who.delivery}", connected=True)
        async for step in _steps(answer, events):
            yield step


async def _steps(answer: aiohttp.ClientResponse, events: Events) -> AsyncIterator[Step]:
    async for raw in answer.content:
        for line in _lines(raw):
            if (step := events.line(line)) is not None:
                yield step


def _lines(raw: bytes) -> Iterator[str]:
    yield raw.decode(errors="replace").rstrip("\r\n")
