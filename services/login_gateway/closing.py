"""Logins that nobody finished end in `LoginClosed`."""

import asyncio
from typing import Final

import structlog

from services.login_gateway import events, guessing
from services.login_gateway.house import House
from services.platform.outbox import row_for
from services.platform.postgres import AWAY

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0


async def close_for_ever(house: House) -> None:
    """One sweep a second; a database that is away is asked again."""
    while True:
        try:
            await sweep(house)
            await guessing.lengthen_codes(house)
        except AWAY as away:
            log.warning("closing_waits", error=type(away).__name__)
        await asyncio.sleep(EVERY_SECONDS)


async def sweep(house: House) -> int:
    """Close what has expired or lies below its account's floor; gives how many."""
    rows = await house.upkeep.close(lambda login, reason: row_for(events.closed(login, reason, house.clock.now())))
    house.outbox.publish_soon(rows)
    return len(rows)
