"""A server that answers as a test wants: well, badly, endlessly, or not at all."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
PIECE: Final = b"x" * 65_536


@dataclass
class Served:
    """`requests` are the heads and bodies that came."""

    url: str
    requests: list[tuple[str, bytes]] = field(default_factory=list)


@asynccontextmanager
async def served(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    found, talking = Served(""), set[asyncio.Task[None]]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            found.requests.append((head, await reader.readexactly(_length(head))))
            await answer(writer)
            await writer.drain()
        writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(asyncio.get_running_loop().create_task(talk(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    found.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield found
    finally:
        server.close()
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    """A whole answer; `Retry_After="7"` is a header."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join([*lines, "", ""]).encode() + body)


def raw(text: bytes) -> Answer:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(text)

    return write


async def nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def dripping(status: int, body: bytes) -> Answer:
    """One byte at a time, too slowly ever to be whole."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for byte in body:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.1)

    return write


def endless(start: bytes, count: list[int], piece: bytes = PIECE) -> Answer:
    """For as long as anybody reads; `count[0]` says how much that was."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            count[0] += len(piece)

    return write


def _length(head: str) -> int:
    found = [line.partition(":")[2] for line in head.splitlines() if line.lower().startswith("content-length:")]
    return int(found[0]) if found else 0
