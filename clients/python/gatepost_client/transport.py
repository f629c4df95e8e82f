"""One HTTP call, told as an answer or a typed error; the only place that repeats a call."""

import asyncio
import base64
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDictProxy

from gatepost_client.errors import BadClient, GatepostError, Unavailable, Unexpected, error_of

SHORTEST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 60.0
Pause = Callable[[float], Awaitable[None]]
Heard = Callable[[CIMultiDictProxy[str]], None]


@dataclass(frozen=True)
class Credentials:
    """A client as `gatepost clients create` gave it."""

    client_id: str
    secret: str = field(repr=False)

    def header(self) -> str:
        return "Basic " + base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()


class Connections:
    """Those of one program. Streams have their own: who is followed holds one, and nobody else up."""

    def __init__(self) -> None:
        self._calls: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._calls = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        unbounded = aiohttp.TCPConnector(limit=0)
        self._streams = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=unbounded)
        return self

    async def __aexit__(self, *error: object) -> None:
        calls, streams = self.calls, self.streams
        self._calls = self._streams = None
        await calls.close()
        await streams.close()

    @property
    def calls(self) -> aiohttp.ClientSession:
        return _opened(self._calls)

    @property
    def streams(self) -> aiohttp.ClientSession:
        return _opened(self._streams)


def _opened(session: aiohttp.ClientSession | None) -> aiohttp.ClientSession:
    if session is None:
        raise RuntimeError("Gatepost is not open: use it inside `async with gatepost:`")
    return session


class Transport:
    """Calls of one service. `patience`: for how many seconds a call that may be repeated is repeated while Gatepost
    cannot answer; `timeout`: of each single call.
    """

    def __init__(
        self,
        connections: Connections,
        base: str,
        credentials: Credentials | None,
        *,
        patience: float = 10.0,
        timeout: float = 10.0,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._connections = connections
        self._base = base.rstrip("/")
        self._credentials = credentials
        self._patience = patience
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._pause = pause

    async def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        again: bool = True,
        heard: Heard | None = None,
        **body: Any,
    ) -> dict[str, Any]:
        """The answer's object. `again`: the call may be repeated without harm; `heard` gets the header fields of every
        answer. Raises `GatepostError`.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + self._patience
        while True:
            try:
                return await self._once(method, path, headers or {}, body, heard)
            except Unavailable as away:
                if not (again or away.name == "not-connected") or clock() + away.retry_after > until:
                    raise
                await self._pause(away.retry_after)

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.StreamReader]:
        """The bytes of a stream of server-sent events. Raises `GatepostError`."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout.total)
        wanted = self._headers(headers) | {"Accept": "text/event-stream"}
        with _translated():
            async with self._connections.streams.get(
                self._base + path, headers=wanted, timeout=timeout, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    raise await _failure(answer)
                yield answer.content

    async def _once(
        self, method: str, path: str, headers: Mapping[str, str], body: dict[str, Any], heard: Heard | None
    ) -> dict[str, Any]:
        with _translated():
            async with self._connections.calls.request(
                method,
                self._base + path,
                headers=self._headers(headers),
                timeout=self._timeout,
                allow_redirects=False,
                **body,
            ) as answer:
                if heard is not None:
                    heard(answer.headers)
                if answer.status not in (200, 201, 202):
                    raise self._known(await _failure(answer))
                return _object(await answer.read())

    def _known(self, error: GatepostError) -> GatepostError:
        """Gatepost cannot know that this program gave no client at all."""
        if isinstance(error, BadClient) and self._credentials is None:
            return BadClient("no-client", "This program gave none: Gatepost(url, client=(client_id, secret)).", 401)
        return error

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {} if self._credentials is None else {"Authorization": self._credentials.header()}
        return own | dict(more)


def checked(url: str, insecure: bool) -> str:
    """The URL, if passwords and tokens may go there. Raises `ValueError` for plain HTTP beyond this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and (insecure or _here(parts.hostname or ""))):
        return url
    raise ValueError(f"{url}: use https://, or say insecure=True where the network itself is trusted")


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _translated:
    """What aiohttp raises, as what the caller can act on."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case aiohttp.ClientConnectorError():
                raise Unavailable("not-connected", f"{error.host}:{error.port} cannot be reached.", 0) from error
            case aiohttp.ClientError() | TimeoutError():
                raise Unavailable("no-answer", f"The service did not answer ({type(error).__name__}).", 0) from error


async def _failure(answer: aiohttp.ClientResponse) -> GatepostError:
    try:
        problem = json.loads(await answer.read())
    except ValueError:
        problem = None
    return error_of(answer.status, problem if isinstance(problem, dict) else {}, _retry_after(answer.headers))


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, never none; one where the header is missing or a date (RFC 9110, section 10.2.3)."""
    given = headers.get("Retry-After", "")
    return max(SHORTEST_PAUSE, float(given)) if given.isascii() and given.isdigit() and len(given) < 9 else 1.0


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unexpected("not-an-object", "The answer is no JSON object.")
    return found
