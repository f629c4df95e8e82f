"""Two workers with one instance id both get everything, without an error: an advisory lock keeps the second away."""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg
import structlog

from services.platform.postgres import AWAY, until_it_works

log = structlog.get_logger()

SPACE: Final = 0x67617465
TRY: Final = "SELECT pg_try_advisory_lock($1, hashtext($2))"
CHECK_SECONDS: Final = 2.0


class InstanceTaken(Exception):
    """Another delivery worker has this GATEPOST_INSTANCE_ID; give each worker its own, or none."""


class InstanceLock:
    """Held on a connection of its own for as long as the worker lives; without an instance id it does nothing."""

    def __init__(self, dsn: str, instance: str | None) -> None:
        self._dsn, self._instance = dsn, instance
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def take(self, patience: float = 15.0) -> None:
        """Wait for a predecessor that is on its way out. Raises `InstanceTaken`."""
        if self._instance is None:
            return
        for _ in range(round(patience)):
            if await until_it_works(self._try, "database_not_up_yet"):
                return
            await asyncio.sleep(1.0)
        raise InstanceTaken(f"GATEPOST_INSTANCE_ID={self._instance}: {InstanceTaken.__doc__}")

    async def keep(self) -> None:
        """A lock ends with its connection: look after it, take it again when it was lost."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self._connection is None:
                continue
            try:
                await self._connection.fetchval("SELECT 1", timeout=5)
            except AWAY:
                log.warning("instance_lock_lost")
                self._connection.terminate()
                await self.take()

    async def release(self) -> None:
        if self._connection is not None:
            await self._connection.close(timeout=2)
            self._connection = None

    async def _try(self) -> bool:
        connection = await asyncpg.connect(self._dsn, timeout=3, command_timeout=5)
        if await connection.fetchval(TRY, SPACE, self._instance):
            self._connection = connection
            return True
        await connection.close()
        return False
