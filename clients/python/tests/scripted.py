"""A real web server on loopback that answers what a test tells it, and keeps what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gatepost_client import Gatepost


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Asked], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """`answer` says what comes back."""

    answer: Answer
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        one = Asked(request.method, request.path, dict(request.headers), await request.read())
        self.asked.append(one)
        try:
            return await self.answer(one)
        except ConnectionResetError:
            if request.transport is not None:
                request.transport.close()
            return web.Response()


@dataclass
class Pauses:
    """Instead of sleeping: how long the client wanted to."""

    taken: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def client(server: Server, **more: Any) -> Gatepost:
    return Gatepost(server.url, client=("shop", "secret"), **more)


def references(asked: Asked) -> list[str]:
    """Of the logins of a feed's call."""
    return [item["reference"] for item in json.loads(asked.body)["logins"]]


def in_turn(*answers: web.Response | type[ConnectionResetError]) -> Answer:
    """Each answer once, the last for ever after; `ConnectionResetError`: the connection breaks."""
    left = list(answers)

    async def answer(asked: Asked) -> web.StreamResponse:
        one = left.pop(0) if len(left) > 1 else left[0]
        if not isinstance(one, web.Response):
            raise ConnectionResetError
        return web.Response(status=one.status, body=one.body, headers=one.headers)

    return answer


def problem(status: int, name: str, retry_after: int | None = None, **more: Any) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = {"type": f"urn:gatepost:{name}", "title": name, "status": status, "detail": "Why.", **more}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")
