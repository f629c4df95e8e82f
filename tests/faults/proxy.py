"""TCP between a service and what it talks to: a door that can be shut, and a Postgres whose answer gets lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

CHUNK: Final = 65_536
READY: Final = b"Z\x00\x00\x00\x05"
QUERY, PARSE, BIND = b"Q", b"P", b"B"


class Door:
    """Forwards to a port of this machine; shut, it takes no connection and cuts those that there are."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self._server: asyncio.Server | None = None
        self._cut: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._cut):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._cut.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._cut.add(far_writer)
            await self.both_ways(reader, writer, far_reader, far_writer)
            far_writer.transport.abort()
            self._cut.discard(far_writer)
        except OSError:
            pass
        finally:
            self._cut.discard(writer)
            writer.transport.abort()

    async def both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        """Until either side ends."""
        await first_of(pump(reader, far_writer), pump(far_reader, writer))


async def first_of(*works: object) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[call-overload]
    _, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


class PostgresDoor(Door):
    """`lose(sql, times)`: whoever sends a statement that begins so is cut off once the server has done it."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._begins, self._left = b"", 0
        self.lost = 0

    def lose(self, statement: str, times: int) -> None:
        self._begins, self._left, self.lost = statement.encode(), times, 0

    async def both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        talk = _Talk(self, reader, writer, far_reader, far_writer)
        await first_of(talk.forth(), talk.back())

    def take(self, sql: bytes) -> bool:
        """Whether this statement's answer is to be lost."""
        if not self._left or not sql.lstrip().startswith(self._begins):
            return False
        self._left -= 1
        return True


class _Talk:
    """One connection: it knows which SQL stands behind each prepared statement."""

    def __init__(
        self,
        door: PostgresDoor,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        self._door, self._reader, self._writer = door, reader, writer
        self._far_reader, self._far_writer = far_reader, far_writer
        self._prepared: dict[bytes, bytes] = {}
        self._losing = False

    async def forth(self) -> None:
        """What comes before the first typed message (TLS request, start-up) has a length only."""
        typed = False
        with suppress(asyncio.IncompleteReadError):
            while True:
                kind = await self._reader.readexactly(1) if typed else b""
                size = await self._reader.readexactly(4)
                body = await self._reader.readexactly(int.from_bytes(size, "big") - 4)
                typed = typed or body[:4] == b"\x00\x03\x00\x00"
                self._losing = self._losing or any(self._door.take(sql) for sql in self._said(kind, body))
                self._far_writer.write(kind + size + body)
                await self._far_writer.drain()

    def _said(self, kind: bytes, body: bytes) -> Iterator[bytes]:
        if kind == QUERY:
            yield body
        elif kind == PARSE:
            name, sql, _ = body.split(b"\x00", 2)
            self._prepared[name] = sql
        elif kind == BIND:
            yield self._prepared.get(body.split(b"\x00", 2)[1], b"")

    async def back(self) -> None:
        held = b""
        while data := await self._far_reader.read(CHUNK):
            if self._losing:
                held += data
                if READY in held:
                    self._door.lost += 1
                    return
                continue
            self._writer.write(data)
            await self._writer.drain()


@asynccontextmanager
async def opened(*doors: Door) -> AsyncIterator[None]:
    for door in doors:
        await door.open()
    try:
        yield
    finally:
        for door in doors:
            await door.shut()
