"""The database's clock: monotonic time plus an offset that is measured at start and every ten seconds."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import asyncpg

from services.platform.postgres import until_it_works

MEASURE_SECONDS: Final = 10.0
THEIRS: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"


class DatabaseClock:
    """What a session's age is told by. A step of this machine's wall clock does not move it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._offset: float | None = None

    def now(self) -> float:
        """Unix seconds. Raises `RuntimeError` before the first measurement: age zero would let everything live."""
        if self._offset is None:
            raise RuntimeError("the database's clock was not measured yet")
        return time.monotonic() + self._offset

    async def measure(self) -> None:
        """Compare the clocks, waiting for a database that is away."""
        await until_it_works(self._compare, "clock_not_measured")

    async def keep(self) -> None:
        """Measure again, for ever."""
        while True:
            await asyncio.sleep(MEASURE_SECONDS)
            await self.measure()

    async def _compare(self) -> None:
        async with self._pool.acquire() as connection:  # waiting for a connection is no part of the round trip
            before = time.monotonic()
            theirs: float = await connection.fetchval(THEIRS)
            self._offset = theirs - (before + time.monotonic()) / 2
