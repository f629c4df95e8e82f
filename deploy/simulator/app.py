"""The simulator's HTTP side: providers' APIs, what arrived, faults, and the inbox for people."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from aiohttp_sse import sse_response

from deploy.simulator.faults import MODES, BadFault, Faults
from deploy.simulator.store import KEPT, Store
from deploy.simulator.submissions import HttpProvider

STATIC: Final = Path(__file__).parent / "static"
LONGEST_WAIT: Final = 30.0
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def build_simulator(store: Store, faults: Faults, providers: Sequence[HttpProvider]) -> web.Application:
    app = web.Application()
    for provider in providers:
        provider.add_routes(app)
    inbox = Inbox(store, faults)
    app.router.add_get("/", inbox.page)
    app.router.add_static("/static", STATIC)
    app.router.add_get("/inbox", inbox.newest)
    app.router.add_get("/messages", inbox.messages)
    app.router.add_delete("/messages", inbox.clear)
    app.router.add_get("/messages/stream", inbox.stream)
    app.router.add_get("/attempts", inbox.attempts)
    app.router.add_get("/faults", inbox.faults)
    app.router.add_put("/faults", inbox.put_faults)
    app.router.add_delete("/faults", inbox.clear_faults)

    async def close(_: web.Application) -> None:
        for provider in providers:
            await provider.close()

    app.on_cleanup.append(close)
    return app


class Inbox:
    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    async def page(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "inbox.html", headers={"Content-Security-Policy": POLICY})

    async def newest(self, request: web.Request) -> web.Response:
        """`?limit=`: what the page shows of each channel, newest first, and the faults as they are now."""
        try:
            limit = _limit(request.query)
        except ValueError:
            return _bad("limit is a count from 1")
        faults = self._faults.shown()
        found = {name: {"items": self._store.newest(name, limit), "faults": faults[name]} for name in MODES}
        return web.json_response(found)

    async def messages(self, request: web.Request) -> web.Response:
        """`?to=&channel=&after=&wait=`: what arrived, oldest first; `wait` seconds for the first to match."""
        query = request.query
        try:
            wait, limit = _wait(query.get("wait", "0")), _limit(query)
            found = await self._awaited(query.get("to"), query.get("channel"), query.get("after"), wait)
        except ValueError:
            return _bad("wait is seconds, limit a count from 1, after a message's id or an RFC 3339 time with offset")
        return web.json_response({"messages": found[-limit:]})

    async def _awaited(self, to: str | None, channel: str | None, after: str | None, wait: float) -> list[Any]:
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            version = self._store.version
            found = self._store.find(to, channel, after)
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0:
                return found
            await self._store.changed(version, left)

    async def clear(self, request: web.Request) -> web.Response:
        await self._store.clear()
        return web.json_response({"messages": []})

    async def attempts(self, request: web.Request) -> web.Response:
        try:
            limit = _limit(request.query)
        except ValueError:
            return _bad("limit is a count from 1")
        return web.json_response({"attempts": [asdict(attempt) for attempt in list(self._store.attempts)[-limit:]]})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: one whenever something changed; the page then asks for what is new."""
        async with sse_response(request) as events:
            version = -1
            with suppress(ConnectionResetError):  # the page is closed
                while events.is_connected():
                    version = await self._store.changed(version, 15)
                    await events.send(str(version))
        return events

    async def faults(self, request: web.Request) -> web.Response:
        return web.json_response(self._faults.shown())

    async def put_faults(self, request: web.Request) -> web.Response:
        try:
            self._faults.put(await request.json())
        except BadFault as bad:
            return _bad(str(bad))
        except ValueError:
            return _bad("the body is not JSON")
        await self._store.tell()
        return web.json_response(self._faults.shown())

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._faults.clear()
        await self._store.tell()
        return web.json_response(self._faults.shown())


def _wait(given: str) -> float:
    if not (seconds := float(given)) >= 0:
        raise ValueError(given)
    return min(seconds, LONGEST_WAIT)


def _limit(query: Mapping[str, str]) -> int:
    if (limit := int(query.get("limit", KEPT))) < 1:
        raise ValueError(limit)
    return limit


def _bad(detail: str) -> web.Response:
    return web.json_response({"status": 400, "detail": detail}, status=400)
