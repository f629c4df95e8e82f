"""What many look at is read once within a few seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class Fresh(Generic[K, T]):
    """`read` gives what belongs to a key; whoever asks while it is read waits for that."""

    def __init__(self, read: Callable[[K], Awaitable[T]], seconds: float, monotonic: Callable[[], float]) -> None:
        self._read, self._seconds, self._monotonic = read, seconds, monotonic
        self._last: dict[K, tuple[float, T]] = {}
        self._reading = asyncio.Lock()

    async def of(self, key: K) -> T:
        """Raises what the read raises."""
        async with self._reading:
            now, last = self._monotonic(), self._last.get(key)
            if last is None or now - last[0] >= self._seconds:
                last = self._last[key] = now, await self._read(key)
            return last[1]
