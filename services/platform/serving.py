"""Listening, and leaving so that nobody is cut off.

Who leaves says so first (`/readyz`), takes nobody new, gives each connection a last answer that says that it is the
last one, and finishes what is under way.
"""

import asyncio
import socket
import time
from contextlib import suppress
from typing import Final

import structlog
from aiohttp import web

from services.platform import worker_metrics
from services.platform.http import FIGURES, LEAVING, PLACE, is_ready
from services.platform.settings import ServiceSettings
from services.platform.work import spare_the_collector, stop_signal, stop_this_process
from services.platform.worker import Place

log = structlog.get_logger()

BACKLOG: Final = 1024
FINISH_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.02
READY_SECONDS: Final = 20.0


def opened(host: str, port: int, shared: bool = False) -> list[socket.socket]:
    """A listener for each address of `host`. Raises `OSError` when the port is taken."""
    found: list[socket.socket] = []
    try:
        for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            found.append(socket.create_server(address[:2], family=family, backlog=BACKLOG, reuse_port=shared))
    except OSError:
        for listener in found:
            listener.close()
        raise
    return found


class Serving:
    """An application behind its listeners, from `start` to `stop`; `leave` begins the end."""

    def __init__(self, app: web.Application, settings: ServiceSettings) -> None:
        self._app, self._settings = app, settings
        if settings.worker is not None:
            app[PLACE] = settings.worker
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=FINISH_SECONDS, auto_decompress=False
        )
        self._listeners: list[socket.socket] = []
        self._figures: web.AppRunner | None = None
        self._opening: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return int(self._listeners[0].getsockname()[1])

    async def start(self) -> None:
        """Raises `OSError` when the port is taken. One of several workers listens once it is ready: who comes before
        that waits in its queue, or another has them.
        """
        place = self._settings.worker
        if place is None:
            self._listeners = opened(self._settings.http_host, self._settings.http_port)
        else:
            self._listeners = [socket.socket(fileno=each) for each in place.listeners]
            place.when_alone(stop_this_process)
        await self._runner.setup()
        if place is None:
            await self._listen()
        else:
            self._figures = await worker_metrics.share(place, self._app[FIGURES])
            self._opening = asyncio.create_task(self._listen_when_ready(place))

    def leave(self) -> None:
        """Begin to leave; harmless when repeated."""
        self._leaving = self._leaving or asyncio.create_task(self._leave())

    async def stop(self) -> None:
        """What is under way has five seconds to finish."""
        self.leave()
        if self._leaving is not None:
            await self._leaving
        await self._runner.cleanup()
        if self._figures is not None:
            await self._figures.cleanup()

    async def _listen(self) -> None:
        for listener in self._listeners:
            await web.SockSite(self._runner, listener.dup(), backlog=BACKLOG).start()
        spare_the_collector()
        log.info("listening", host=self._settings.http_host, port=self.port)

    async def _listen_when_ready(self, place: Place) -> None:
        """Who is not ready for long answers all the same: `/readyz` says why."""
        patience = time.monotonic() + READY_SECONDS
        while not await is_ready(self._app):
            if not self._runner.sites and time.monotonic() > patience:
                await self._listen()
            await asyncio.sleep(LOOK_SECONDS)
        if not self._runner.sites:
            await self._listen()
        place.say_ready()

    async def _leave(self) -> None:
        log.info("stopping")
        self._app[LEAVING].begin()
        if self._opening is not None:
            self._opening.cancel()
        await asyncio.sleep(self._settings.stop_notice_seconds)
        for site in self._runner.sites:
            await site.stop()
        for listener in self._listeners:
            await self._let_in(listener)
            listener.close()
        await self._last_answers()

    async def _let_in(self, listener: socket.socket) -> None:
        """Whoever waits at the door already: closing it would reset them."""
        listener.setblocking(False)
        loop, server = asyncio.get_running_loop(), self._runner.server
        while server is not None:
            try:
                connection, _ = listener.accept()
            except OSError:  # nobody waits any more
                return
            connection.setblocking(False)
            with suppress(OSError):
                await loop.connect_accepted_socket(server, connection)

    async def _last_answers(self) -> None:
        """A client that keeps its connection learns by its next answer that it must open another. Who is silent for so
        long finds it closed.
        """
        patience = time.monotonic() + self._settings.stop_grace_seconds
        while (server := self._runner.server) is not None and server.connections:
            if time.monotonic() > patience:
                return
            await asyncio.sleep(LOOK_SECONDS)


async def serve(app: web.Application, settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way; start-up and clean-up hooks are the app's own."""
    stopping, serving = stop_signal(), Serving(app, settings)
    await serving.start()
    try:
        await stopping.wait()
    finally:
        await serving.stop()
