"""Server-sent events, as far as Gatepost writes them (HTML Living Standard, section 9.2)."""

from collections.abc import AsyncGenerator, AsyncIterable
from typing import NamedTuple


class Told(NamedTuple):
    event: str
    data: str


async def events(lines: AsyncIterable[bytes]) -> AsyncGenerator[Told, None]:
    """Each event at its empty line; comments and one that was cut off are left out."""
    name, data = "message", list[str]()
    async for raw in lines:
        line = raw.decode(errors="replace").rstrip("\r\n")
        if not line:
            if data:
                yield Told(name, "\n".join(data))
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
