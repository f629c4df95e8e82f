"""HTTP/1.1 at little cost: the load generator shares the machine with what it measures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import msgspec


class Answer(NamedTuple):
    status: int
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Broken(Exception):
    """The other side closed the connection before it had answered."""


def request(method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """The whole request as bytes; made once where it is sent often."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One request at a time, kept alive."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._held = b""

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    async def send(self, data: bytes) -> Answer:
        """Raises `Broken`."""
        if self._transport is None or self._transport.is_closing():
            raise Broken
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._waiter

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, split, rest = self._held.partition(b"\r\n\r\n")
        if not split or len(rest) < (size := length_in(head)):
            return
        self._held = rest[size:]
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Answer(int(head[9:12]), rest[:size]))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Broken())


def length_in(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return 0 if at < 0 else int(head[at + 15 :].partition(b"\r\n")[0])


class Client:
    """As many connections as calls are under way; an idle one is taken before a new one is made."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._idle: list[Connection] = []

    async def send(self, data: bytes) -> Answer:
        """An idle connection may have been closed meanwhile: then once more on a new one."""
        if self._idle:
            try:
                return await self._on(self._idle.pop(), data)
            except Broken:
                pass
        return await self._on(await Connection.open(self._host, self._port), data)

    async def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        data = msgspec.json.encode(body) if body is not None else b""
        kind = {"Content-Type": "application/json"} if data else {}
        return await self.send(request(method, path, data, kind | dict(headers or {})))

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _on(self, connection: Connection, data: bytes) -> Answer:
        answer = await connection.send(data)
        self._idle.append(connection)
        return answer
