"""Logins fed by HTTP into Postgres: a part of a call is one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from services.login_gateway.feed import Fed, FedLogin, feed
from services.login_gateway.house import House
from services.login_gateway.login import tell_begun
from services.login_gateway.ports import Contended
from services.login_gateway.postgres.feed_transaction import published, yielding
from services.platform.postgres import AWAY

log = structlog.get_logger()

PART: Final = 20
PATIENCE_SECONDS: Final = 3.0
BUSY: Final = "busy"
FAILED: Final = "failed"


class PostgresFeedCalls:
    """`house` publishes what was committed."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], house: House) -> None:
        self._pool = pool
        self._house = house

    async def open(self, client_id: str, account_id: UUID, items: Sequence[FedLogin]) -> list[Fed]:
        """What became of each. Where somebody holds what one needs, the others go past it; it is tried again after
        them, and refused as `busy` when that takes long. One that cannot be done at all is refused as `failed`, alone.
        """
        found = list[Fed | None]()
        for start in range(0, len(items), PART):
            found += await self._part(client_id, account_id, items[start : start + PART])
        end = time.monotonic() + PATIENCE_SECONDS
        return [
            fed or await self._at_last(client_id, account_id, item, end) for item, fed in zip(items, found, strict=True)
        ]

    async def _part(self, client_id: str, account_id: UUID, items: Sequence[FedLogin]) -> Sequence[Fed | None]:
        try:
            return await self._take(client_id, account_id, items)
        except AWAY:
            raise
        except Exception as trouble:
            log.info("feed_part_one_by_one", logins=len(items), error=type(trouble).__name__)
            return [await self._alone(client_id, account_id, item) for item in items]

    async def _alone(self, client_id: str, account_id: UUID, item: FedLogin) -> Fed | None:
        """None while somebody is in its way."""
        try:
            return (await self._take(client_id, account_id, [item]))[0]
        except Contended:
            return None
        except AWAY:
            raise
        except Exception as error:
            log.error("fed_login_failed", client_id=client_id, exc_info=error)
            return Fed(item.reference, reason=FAILED)

    async def _at_last(self, client_id: str, account_id: UUID, item: FedLogin, end: float) -> Fed:
        while (fed := await self._alone(client_id, account_id, item)) is None:
            if time.monotonic() > end:
                return Fed(item.reference, reason=BUSY)
        return fed

    async def _take(self, client_id: str, account_id: UUID, items: Sequence[FedLogin]) -> list[Fed]:
        began = time.monotonic()
        async with yielding(self._pool, self._house) as (_, house, held):
            taken = [await feed(house, client_id, account_id, item) for item in items]
        for fed in taken:
            if fed.new and fed.login is not None:
                tell_begun(fed.login, time.monotonic() - began, "feed-http")
        await published(self._house, held)
        return taken
