"""Gatepost, as a program that uses it sees it."""

import asyncio
from types import TracebackType
from typing import Self

from gatepost_client.feeding import Feed
from gatepost_client.introspection import Sessions
from gatepost_client.logins import Logins
from gatepost_client.transport import Connections, Credentials, Pause, Transport, checked


class Gatepost:
    """Open it with `async with`, once for the life of your program; it is safe to share between tasks. It may be made
    before there is a loop, and its `logins`, `feed` and `sessions` handed on: they work while it is open.

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
        self._connections = Connections()
        credentials = Credentials(*client) if client is not None else None

        def transport(base: str) -> Transport:
            where = checked(base, insecure)
            return Transport(self._connections, where, credentials, patience=patience, timeout=timeout, pause=pause)

        gateway, store = transport(url), transport(session_store or url)
        self.logins = Logins(gateway, pause)
        self.feed = Feed(gateway, pause)
        self.sessions = Sessions(store, remember=remember)

    async def __aenter__(self) -> Self:
        await self._connections.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.__aexit__()
