"""ASGI: only whom the door lets in reaches the application (Starlette, FastAPI, Django, Litestar, Quart, …)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from gatepost_client.answers import Session
from gatepost_client.cookies import token_of
from gatepost_client.door import Door, Shut, judged
from gatepost_client.introspection import Sessions

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
SESSION: Final = "gatepost.session"


class GatepostMiddleware:
    """Wraps an application; `session_of(scope)` says who it is. WebSockets are refused before they open."""

    def __init__(self, app: App, sessions: Sessions, door: Door) -> None:
        self._app = app
        self._sessions = sessions
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        found = await judged(self._door, self._sessions, self._token(scope), scope["path"])
        if isinstance(found, Shut):
            await _answer(scope, receive, send, found)
            return
        await self._app({**scope, SESSION: found}, receive, send)

    def _token(self, scope: Scope) -> str:
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        given = [value for name, value in headers if name == b"authorization"]
        cookies = [value for name, value in headers if name == b"cookie"]
        return token_of(given[0] if len(given) == 1 else "", cookies, self._door.cookie)


def session_of(scope: Scope) -> Session | None:
    """Who it is; None only at a public path."""
    session: Session | None = scope.get(SESSION)
    return session


async def _answer(scope: Scope, receive: Receive, send: Send, shut: Shut) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008 if shut.status != 503 else 1013})
        return
    body = shut.body()
    headers = {
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
    }
    pairs = [(name.lower().encode(), value.encode()) for name, value in (headers | shut.headers).items()]
    await send({"type": "http.response.start", "status": shut.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
