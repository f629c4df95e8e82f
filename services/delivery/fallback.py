"""The e-mail that an SMS which did not arrive makes due: one pure rule."""

from datetime import datetime, timedelta
from typing import Final

from services.delivery.ports import Job, LoginNow
from services.delivery.states import DID_NOT_ARRIVE, State

LEAST_USEFUL_LIFE: Final = timedelta(seconds=15)


def fallback_due(sms: Job, state: State, login: LoginNow, email: str | None, now: datetime) -> bool:
    """Whether the code now goes to the mailbox, whatever the user's e-mail preference says."""
    if sms.channel != "sms" or state not in DID_NOT_ARRIVE or email is None:
        return False
    return login.why is None and not login.email_made and sms.expires_at - now >= LEAST_USEFUL_LIFE


def cause_after(cause: str) -> str:
    return f"fallback:{cause}"


def kind_of(cause: str) -> str:
    """Without what follows: a replay's id is whatever its client chose."""
    return cause.partition(":")[0]
