"""A code again: four sends per login, 30, 60 and 90 seconds apart, and e-mail only where it is on for the user."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from schemas.events import Channel
from services.login_gateway.house import House
from services.login_gateway.login import challenge, count_send
from services.login_gateway.verify import closed_problem, locked_problem, why_closed
from services.platform.http import Problem, too_many

MOST_SENDS: Final = 4
PAUSES: Final = (30, 60, 90)


async def resend(house: House, login_id: UUID, channel: Channel | None) -> Mapping[str, Any]:
    """Send the code again. Raises 404, 410 `login-closed`, 409 `channel-not-allowed`, 429."""
    login = await house.logins.get(login_id)
    if login is None:
        raise Problem(404, "not-found", "There is no such login.")
    if (reason := why_closed(house, login)) is not None:
        raise closed_problem(reason)
    if login["locked_at"] is not None:
        raise locked_problem()
    allowed = allowed_channels(login, channel)
    _not_too_soon(login)
    counted = await count_send(house, login, allowed)
    event = challenge(house, login, login, counted.channel, f"resend:{login['sends']}")
    if not await house.logins.count_send(login, counted.channel, event):
        await house.counters.give_back(counted.names)
        raise too_many("resend-too-soon", "The code was just sent again.", PAUSES[0])
    house.outbox.publish_soon([event])
    return await house.logins.get(login_id) or login


def allowed_channels(login: Mapping[str, Any], channel: Channel | None) -> list[Channel]:
    """The login's own factors, SMS first: a request must not pull a code into a mailbox that is off for its user."""
    on: list[Channel] = login["factors"]
    if channel is None:
        return on
    if channel not in on:
        detail = f"{channel} is not on for this user. Use {' or '.join(on)}."
        raise Problem(409, "channel-not-allowed", detail)
    return [channel]


def resend_at(login: Mapping[str, Any]) -> datetime | None:
    """When the next send is allowed; None when all are used."""
    if login["sends"] >= MOST_SENDS:
        return None
    last: datetime = login["last_send_at"]
    return last + timedelta(seconds=PAUSES[login["sends"] - 1])


def _not_too_soon(login: Mapping[str, Any]) -> None:
    due = resend_at(login)
    if due is None:
        raise too_many("resend-too-soon", "All sends of this login are used. Sign in again.", 60)
    wait = (due - login["at"]).total_seconds()
    if wait > 0:
        raise too_many("resend-too-soon", f"The code can be sent again in {wait:.0f} seconds.", wait)
