"""aiohttp: only whom the door lets in reaches the handlers."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gatepost_client.answers import Session
from gatepost_client.cookies import token_of
from gatepost_client.door import Door, Shut, judged
from gatepost_client.introspection import Sessions

SESSION: Final[web.RequestKey[Session | None]] = web.RequestKey("gatepost.session")


def gatepost_middleware(sessions: Sessions, door: Door) -> Middleware:
    """For `web.Application(middlewares=[…])`; `session_of(request)` says who it is."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        found = await judged(door, sessions, _token(request, door.cookie), request.path)
        if isinstance(found, Shut):
            headers = {"Cache-Control": "no-store", **found.headers}
            kind = "application/problem+json"
            return web.Response(status=found.status, body=found.body(), headers=headers, content_type=kind)
        request[SESSION] = found
        return await handler(request)

    return guarded


def session_of(request: web.Request) -> Session | None:
    """Who it is; None only at a public path."""
    return request.get(SESSION)


def _token(request: web.Request, cookie: str | None) -> str:
    given = request.headers.getall("Authorization", [])
    return token_of(given[0] if len(given) == 1 else "", request.headers.getall("Cookie", []), cookie)
