"""Leaving: whoever is at the door, on a connection or in a request is answered; nobody new is taken."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from services.platform.http import base_app
from services.platform.serving import Serving, opened
from services.platform.settings import ServiceSettings

NOWHERE: dict[str, Any] = {"kafka": "127.0.0.1:9", "database": SecretStr("postgresql://x@127.0.0.1/x"), "keys": Path()}


@asynccontextmanager
async def serving(**changed: Any) -> AsyncIterator[tuple[Serving, str]]:
    """A service whose `/slow` takes half a second."""

    async def ready() -> dict[str, Any]:
        return {}

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response(text="slow")

    app = base_app("test", ready, {})
    app.router.add_post("/slow", slow)
    found = Serving(app, ServiceSettings(**NOWHERE, http_port=0, **changed))
    await found.start()
    try:
        yield found, f"http://127.0.0.1:{found.port}"
    finally:
        await found.stop()


async def test_a_kept_connection_gets_one_more_answer_that_says_it_is_the_last() -> None:
    async with serving(stop_grace_seconds=20.0) as (one, url), aiohttp.ClientSession() as http:
        async with http.post(f"{url}/slow") as answer:
            assert "Connection" not in answer.headers
        one.leave()
        await asyncio.sleep(0.1)
        async with http.get(f"{url}/readyz") as answer:
            assert (answer.status, answer.headers["Connection"]) == (503, "close")
            assert (await answer.json())["reason"] == "stopping"
        async with asyncio.timeout(5):
            await one.stop()  # nobody is connected any more: it waits for nobody
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(f"{url}/healthz")


async def test_what_is_under_way_is_finished() -> None:
    async with serving(stop_grace_seconds=0.0) as (one, url), aiohttp.ClientSession() as http:
        asked = asyncio.create_task(http.post(f"{url}/slow"))
        await asyncio.sleep(0.1)
        await one.stop()
        assert await (await asked).text() == "slow"


async def test_who_is_silent_finds_the_connection_closed() -> None:
    async with serving(stop_grace_seconds=0.3) as (one, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            await one.stop()
            assert await reader.read() == b""
        writer.close()


async def test_during_the_notice_whoever_comes_is_served() -> None:
    async with serving(stop_notice_seconds=1.0, stop_grace_seconds=0.0) as (one, url):
        one.leave()
        await asyncio.sleep(0.1)
        async with aiohttp.ClientSession() as http, http.get(f"{url}/readyz") as answer:
            assert answer.status == 503
        async with aiohttp.ClientSession() as http, http.post(f"{url}/slow") as answer:
            assert answer.status == 200


async def test_whoever_waits_at_the_door_as_it_closes_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel has taken them; closing the listener would reset them."""
    waiting: list[socket.socket] = []
    stop = web.SockSite.stop
    async with serving(stop_grace_seconds=20.0) as (one, url):
        port = int(url.rpartition(":")[2])

        async def just_now(site: web.SockSite) -> None:
            waiting.extend(socket.create_connection(("127.0.0.1", port)) for _ in range(20))
            await stop(site)

        monkeypatch.setattr(web.SockSite, "stop", just_now)
        one.leave()
        async with asyncio.timeout(5):
            while not waiting:  # noqa: ASYNC110 - the stop tells nobody
                await asyncio.sleep(0.01)
        answers = await asyncio.gather(*(asyncio.to_thread(answer_of, each) for each in waiting))
    assert all(answer.startswith(b"HTTP/1.1 200") and b"Connection: close" in answer for answer in answers)


def answer_of(connection: socket.socket) -> bytes:
    connection.settimeout(10)
    with connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_a_port_is_shared_only_where_both_say_so() -> None:
    with opened("127.0.0.1", 0, shared=True)[0] as one:
        port = one.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            opened("127.0.0.1", port)
        with opened("127.0.0.1", port, shared=True)[0] as other:
            assert other.getsockname() == one.getsockname()
