"""Logins that nobody finished end in `LoginClosed`; old rows go, a few at a time."""

import asyncio
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.login_gateway import events, guessing
from services.login_gateway.house import House
from services.platform.outbox import row_for
from services.platform.postgres import AWAY

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0
REFERENCES: Final = timedelta(hours=49)  # an hour more than they are good for: made and asked by two clocks


async def close_for_ever(house: House) -> None:
    """One sweep a second; a database that is away is asked again."""
    while True:
        try:
            await sweep(house)
            await guessing.lengthen_codes(house)
            await purge(house)
        except AWAY as away:
            log.warning("closing_waits", error=type(away).__name__)
        await asyncio.sleep(EVERY_SECONDS)


async def sweep(house: House) -> int:
    """Close what has expired or lies below its account's floor; gives how many."""
    rows = await house.upkeep.close(lambda login, reason: row_for(events.closed(login, reason, house.clock.now())))
    house.outbox.publish_soon(rows)
    return len(rows)


async def purge(house: House) -> None:
    """Delete what no rule asks for any more. `republish` needs the verified logins of the topic's seven days."""
    now = house.clock.now()
    oldest = now - timedelta(days=house.settings.keep_logins_days)
    await house.upkeep.purge(first_id_of(oldest), first_id_of(now - REFERENCES))


def first_id_of(instant: datetime) -> UUID:
    """A login_id begins with the millisecond it was made (UUIDv7, RFC 9562): age is a range of the primary key."""
    return UUID(int=int(instant.timestamp() * 1000) << 80)
