"""Codes guessed across many logins: an account's codes get longer, a client's feed stops; each with an alarm."""

import structlog

from services.login_gateway.house import House
from services.platform import metrics
from services.platform.http import Problem

log = structlog.get_logger()


async def lengthen_codes(house: House) -> None:
    """Eight digits for a day where logins that ended unverified with a wrong code pile up."""
    limits = house.settings
    for account_id in await house.upkeep.lengthen_codes(limits.guessed_logins_account_hour, limits.guessed_logins_hour):
        log.error("codes_are_being_guessed", account_id=account_id, digits=8)
        metrics.GUESSING_ALARMS.labels("installation" if account_id == "*" else "account").inc()


def feed_stopped(client_id: str) -> None:
    """The alarm for a client whose logins saw too many wrong codes."""
    log.error("feed_stopped", client_id=client_id)
    metrics.GUESSING_ALARMS.labels("feed").inc()


async def may_feed(house: House, client_id: str) -> None:
    """Raises 403 `feed-stopped`."""
    if await house.feeds.stopped(client_id):
        detail = "Too many wrong codes came in for this client's logins. An administrator resumes its feed."
        raise Problem(403, "feed-stopped", detail)
