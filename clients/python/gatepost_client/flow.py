"""From a source to results in order: it is read no faster than they come, and each is handed out as soon as it can."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import TypeVar

S = TypeVar("S")
R = TypeVar("R")


async def each(source: Iterable[S] | AsyncIterable[S]) -> AsyncGenerator[S, None]:
    if isinstance(source, AsyncIterable):
        async for item in source:
            yield item
    else:
        for item in source:
            yield item


async def in_order(
    source: AsyncGenerator[S, None], begin: Callable[[S], Awaitable[R]], at_once: int
) -> AsyncGenerator[R, None]:
    """What `begin` makes of each, `at_once` at a time. The next is read when there is room for it; a source that pauses
    holds back no result.
    """
    room, begun = asyncio.Semaphore(at_once), asyncio.Queue[asyncio.Task[R] | None]()

    async def read() -> None:
        try:
            async with aclosing(source):
                await room.acquire()
                async for item in source:
                    begun.put_nowait(asyncio.ensure_future(begin(item)))
                    await room.acquire()
        finally:
            begun.put_nowait(None)

    reading = asyncio.create_task(read())
    try:
        while (task := await begun.get()) is not None:
            yield await task
            room.release()
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await _ended(begun)


async def _ended(begun: asyncio.Queue[asyncio.Task[R] | None]) -> None:
    left = [task for task in (begun.get_nowait() for _ in range(begun.qsize())) if task is not None]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
