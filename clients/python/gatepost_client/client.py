"""Gatepost, as a program that uses it sees it."""

import asyncio
from types import TracebackType
from typing import Self

import aiohttp

from gatepost_client.feeding import Feed
from gatepost_client.introspection import LONGEST, Sessions
from gatepost_client.logins import Logins
from gatepost_client.transport import Credentials, Pause, Transport, checked


class Gatepost:
    """Open it with `async with`, once for the life of your program; it is safe to share between tasks.

    `url` is where all services are; `session_store` where that one is elsewhere. `client` is `(client_id, secret)`,
    needed to feed and to introspect. `insecure=True` allows plain HTTP beyond this machine.
    """

    def __init__(
        self,
        url: str,
        *,
        session_store: str | None = None,
        client: tuple[str, str] | None = None,
        remember: float = 2.0,
        patience: float = 10.0,
        timeout: float = 10.0,
        insecure: bool = False,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._gateway = checked(url, insecure)
        self._store = checked(session_store or url, insecure)
        self._credentials = Credentials(*client) if client is not None else None
        self._remember = remember
        self._patience = patience
        self._timeout = timeout
        self._pause = pause
        if not 0 <= remember <= LONGEST:
            raise ValueError(f"remember is 0 to {LONGEST:g} seconds")

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        unbounded = aiohttp.TCPConnector(limit=0)  # who is followed holds a connection, and nobody else up
        self._streams = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=unbounded)
        gateway, store = self._transport(self._gateway), self._transport(self._store)
        self.logins = Logins(gateway, self._pause)
        self.feed = Feed(gateway, self._pause)
        self.sessions = Sessions(store, remember=self._remember)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()
        await self._streams.close()

    def _transport(self, base: str) -> Transport:
        return Transport(
            self._http,
            base,
            self._credentials,
            streams=self._streams,
            patience=self._patience,
            timeout=self._timeout,
            pause=self._pause,
        )
