"""Both middlewares, each before a real server, let in the same people."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn
from aiohttp import web
from scripted import Asked, client, serving
from test_introspection import LIVE

import gatepost_client as gp
from gatepost_client import asgi
from gatepost_client.cookies import token_of
from gatepost_client.web import gatepost_middleware, session_of

HERE = "a"
SMS, EMAIL = "urn:gatepost:acr:pwd+sms", "urn:gatepost:acr:pwd+email"
TOKENS: dict[str, dict[str, Any]] = {
    "gp_ada": {"sub": "ada", "acr": SMS},
    "gp_admin": {"sub": "admin", "acr": SMS, "role": "admin"},
    "gp_mail": {"sub": "mail", "acr": EMAIL, "role": "admin"},
    "gp_other": {"sub": "other", "acr": SMS, "account": "b", "role": "admin"},
    "gp_console": {"sub": "console", "acr": SMS, "aud": "gatepost", "role": "admin"},
}
STRICT = gp.Door(account=HERE, roles=frozenset({"admin"}), acrs=frozenset({SMS}), public=("/public",))


async def store(asked: Asked) -> web.StreamResponse:
    token = asked.body.decode().partition("=")[2]
    if token == "gp_away":
        return web.Response(status=503, headers={"Retry-After": "3"})
    found = TOKENS.get(token)
    exp = int(time.time()) + 100
    return web.json_response({"active": False} if found is None else LIVE | {"exp": exp} | found)


@asynccontextmanager
async def aiohttp_app(sessions: Any, door: gp.Door) -> AsyncIterator[str]:
    async def who(request: web.Request) -> web.Response:
        session = session_of(request)
        return web.Response(text=session.sub if session else "nobody")

    app = web.Application(middlewares=[gatepost_middleware(sessions, door)])
    app.router.add_get("/{path:.*}", who)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def asgi_who(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
    session = asgi.session_of(scope)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": (session.sub if session else "nobody").encode()})


@asynccontextmanager
async def asgi_app(sessions: Any, door: gp.Door) -> AsyncIterator[str]:
    app = asgi.GatepostMiddleware(asgi_who, sessions, door)
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off")
    server, listener = uvicorn.Server(config), config.bind_socket()
    listener.listen()
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


@pytest.mark.parametrize("app", [aiohttp_app, asgi_app])
@pytest.mark.parametrize(
    ("path", "headers", "status", "text"),
    [
        ("/", {"Authorization": "Bearer gp_admin"}, 200, "admin"),
        ("/", {"Cookie": "x=y; __Host-gatepost=gp_admin"}, 200, "admin"),
        ("/", {"Cookie": "__Host-gatepost=gp_admin; __Host-gatepost=gp_ada"}, 401, "not-signed-in"),
        ("/", {"Cookie": "__Secure-gatepost=gp_admin"}, 401, "not-signed-in"),
        ("/", {"Authorization": "Bearer theirs", "Cookie": "__Host-gatepost=gp_admin"}, 200, "admin"),
        ("/", {}, 401, "not-signed-in"),
        ("/", {"Authorization": "Bearer gp_dead"}, 401, "not-signed-in"),
        ("/", {"Authorization": "Bearer gp_ada"}, 403, "another role"),
        ("/", {"Authorization": "Bearer gp_mail"}, 403, "another way"),
        ("/", {"Authorization": "Bearer gp_other"}, 403, "another account"),
        ("/", {"Authorization": "Bearer gp_console"}, 401, "not-signed-in"),
        ("/", {"Authorization": "Bearer gp_away"}, 503, "Nobody can tell"),
        ("/public", {}, 200, "nobody"),
        ("/public/x", {"Authorization": "Bearer gp_admin"}, 200, "admin"),
        ("/public/x", {"Authorization": "Bearer gp_other"}, 200, "nobody"),
        ("/public/x", {"Authorization": "Bearer gp_away"}, 200, "nobody"),
        ("/publicity", {}, 401, "not-signed-in"),
    ],
)
async def test_whom_the_door_lets_in(app: Any, path: str, headers: dict[str, str], status: int, text: str):
    async with (
        serving(store) as server,
        client(server, patience=0) as gatepost,
        app(gatepost.sessions, STRICT) as url,
        aiohttp.ClientSession() as browser,
        browser.get(url + path, headers=headers) as answer,
    ):
        assert answer.status == status
        assert text in await answer.text()
        if status == 401:
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        if status == 503:
            assert answer.headers["Retry-After"] == "3"
        if status >= 400:
            assert answer.content_type == "application/problem+json"
            assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("app", [aiohttp_app, asgi_app])
async def test_an_application_may_be_made_before_the_client_is_open(app: Any):
    async with serving(store) as server:
        gatepost = client(server, patience=0)
        async with app(gatepost.sessions, STRICT) as url, aiohttp.ClientSession() as browser:
            headers = {"Authorization": "Bearer gp_admin"}
            async with gatepost, browser.get(url, headers=headers) as answer:
                assert (answer.status, await answer.text()) == (200, "admin")
            with pytest.raises(RuntimeError, match="async with"):
                await gatepost.sessions.introspect("gp_ada")


@pytest.mark.parametrize("app", [aiohttp_app, asgi_app])
async def test_bytes_that_no_token_has_are_nobody(app: Any):
    async with serving(store) as server, client(server) as gatepost, app(gatepost.sessions, STRICT) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer gp_\xff\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 401 "), answer
    assert server.asked == []


async def test_a_websocket_of_nobody_is_closed_before_it_opens():
    said = list[Any]()

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        said.append(message)

    async with serving(store) as server, client(server) as gatepost:
        app = asgi.GatepostMiddleware(asgi_who, gatepost.sessions, STRICT)
        await app({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert said == [{"type": "websocket.close", "code": 1008}]


def test_a_public_path_is_not_left_by_climbing():
    assert STRICT.is_public("/public/a")
    assert not STRICT.is_public("/public/../secret")


def test_a_slip_of_the_pen_stops_the_start():
    with pytest.raises(ValueError, match="operator"):
        gp.Door(account=HERE, roles=frozenset({"root"}))
    with pytest.raises(ValueError, match=r"pwd\+sms"):
        gp.Door(account=HERE, acrs=frozenset({"pwd+sms"}))


def test_without_a_cookie_name_only_bearer_tokens_count():
    assert token_of("", ["__Host-gatepost=gp_x"], None) == ""
    assert token_of("bearer gp_x", [], None) == "gp_x"
