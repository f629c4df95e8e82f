"""Codes guessed across many logins: an account's codes get longer, a client's feed stops; each with an alarm."""

from typing import Any, Final

import structlog

from services.login_gateway.house import House
from services.login_gateway.settings import GatewaySettings
from services.platform import metrics
from services.platform.http import Problem

log = structlog.get_logger()

LONGER_IN_ACCOUNTS: Final = """
UPDATE accounts SET long_codes_until = now() + interval '1 day'
WHERE account_id IN (SELECT account_id FROM guessed_logins GROUP BY account_id HAVING count(*) >= $1)
  AND (long_codes_until IS NULL OR long_codes_until < now() + interval '23 hours')
RETURNING account_id::text
"""
LONGER_EVERYWHERE: Final = """
UPDATE installation SET long_codes_until = now() + interval '1 day'
WHERE (SELECT count(*) FROM guessed_logins) >= $1
  AND (long_codes_until IS NULL OR long_codes_until < now() + interval '23 hours')
RETURNING '*'
"""
COUNT_FED: Final = """
INSERT INTO feed_minutes AS f (client_id, minute, logins, wrong) VALUES ($1, date_trunc('minute', now()), $2, $3)
ON CONFLICT (client_id, minute) DO UPDATE SET logins = f.logins + excluded.logins, wrong = f.wrong + excluded.wrong
"""
STOP_FEED: Final = """
INSERT INTO feed_stops (client_id)
SELECT $1 FROM feed_minutes WHERE client_id = $1 AND minute > now() - interval '1 hour'
HAVING sum(wrong) > $2 AND sum(wrong) * 100 > sum(logins) * $3
ON CONFLICT DO NOTHING RETURNING true
"""
STOPPED: Final = "SELECT true FROM feed_stops WHERE client_id = $1"
RESUME: Final = (
    "DELETE FROM feed_minutes WHERE client_id = $1",
    "DELETE FROM feed_stops WHERE client_id = $1",
)
PURGE: Final = "DELETE FROM feed_minutes WHERE minute < now() - interval '2 hours'"


async def lengthen_codes(house: House) -> None:
    """Eight digits for a day where logins that ended unverified with a wrong code pile up (DESIGN 2.4)."""
    limits = house.settings
    found = await house.pool.fetch(LONGER_IN_ACCOUNTS, limits.guessed_logins_account_hour)
    found += await house.pool.fetch(LONGER_EVERYWHERE, limits.guessed_logins_hour)
    for (account_id,) in found:
        log.error("codes_are_being_guessed", account_id=account_id, digits=8)
        metrics.GUESSING_ALARMS.labels("installation" if account_id == "*" else "account").inc()


async def count_fed(house: House, client_id: str, logins: int) -> None:
    await house.pool.execute(COUNT_FED, client_id, logins, 0)


async def count_wrong(connection: Any, limits: GatewaySettings, client_id: str) -> None:
    """A wrong code on a login that this client fed; too many of them stop its feed (DESIGN 2.8)."""
    await connection.execute(COUNT_FED, client_id, 0, 1)
    most = (limits.feed_wrong_codes_hour, limits.feed_wrong_codes_percent)
    if await connection.fetchval(STOP_FEED, client_id, *most):
        log.error("feed_stopped", client_id=client_id)
        metrics.GUESSING_ALARMS.labels("feed").inc()


async def may_feed(house: House, client_id: str) -> None:
    """Raises 403 `feed-stopped`."""
    if await house.pool.fetchval(STOPPED, client_id):
        detail = "Too many wrong codes came in for this client's logins. An administrator resumes its feed."
        raise Problem(403, "feed-stopped", detail)


async def resume(connection: Any, client_id: str) -> None:
    """Let a client feed again, counted from nothing."""
    for statement in RESUME:
        await connection.execute(statement, client_id)
