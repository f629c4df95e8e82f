"""Logins that nobody finished end in `LoginClosed`; old rows go, a few at a time."""

import asyncio
from typing import Final

import structlog

from services.login_gateway import events
from services.login_gateway.house import House
from services.login_gateway.limits import PURGE
from services.login_gateway.postgres.logins import close_many
from services.platform.outbox import OutboxRow, insert, row_for
from services.platform.postgres import AWAY

log = structlog.get_logger()

EVERY_SECONDS: Final = 1.0
OUTDATED: Final = "expires_at <= now() AND $1"
RAISED: Final = "account_id IN (SELECT account_id FROM accounts a WHERE a.epoch > logins.account_epoch) AND $1"


async def close_for_ever(house: House) -> None:
    """One sweep a second; a database that is away is asked again."""
    while True:
        try:
            await sweep(house)
        except AWAY as away:
            log.warning("closing_waits", error=type(away).__name__)
        await asyncio.sleep(EVERY_SECONDS)


async def sweep(house: House) -> int:
    """Close what has expired or lies below its account's floor; gives how many."""
    rows: list[OutboxRow] = []
    async with house.pool.acquire() as connection, connection.transaction():
        for reason, which in (("expired", OUTDATED), ("sessions-expired", RAISED)):
            for login in await close_many(connection, reason, which, True):
                rows.append(row_for(events.closed(login, reason, house.clock.now())))  # type: ignore[arg-type]
        await insert(connection, rows)
        await connection.execute(PURGE)
        await connection.execute("DELETE FROM idempotency WHERE expires_at < now() - interval '1 minute'")
    house.outbox.publish_soon(rows)
    return len(rows)
