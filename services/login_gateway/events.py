"""The gateway's events, made from rows: the one place where their fields are filled in."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from schemas.events import CloseReason, LoginClosed, Verified
from services.platform.clock import event_id
from services.platform.keys.tokens import secret_hash

SOURCE: Final = "gatepost/gateway"
AMR: Final[dict[str | None, tuple[str, ...]]] = {
    None: ("pwd",),
    "sms": ("pwd", "otp", "sms", "mfa"),
    "email": ("pwd", "otp", "mfa"),
}


def methods(channel: str | None, fed: bool) -> tuple[str, ...]:
    """RFC 8176 names; a platform's own password step is `fed`."""
    amr = AMR[channel]
    return ("fed", *amr[1:]) if fed else amr


def strength(channel: str | None, fed: bool) -> str:
    base = "urn:gatepost:acr:" + ("fed" if fed else "pwd")
    return f"{base}+{channel}" if channel else base


def verified(login: Mapping[str, Any], issued_at: int, secret: bytes, channel: Any) -> Verified:
    """A sign-in is complete. `login` has the columns of `logins` and the user's role and claims."""
    fed = login["fed_by"] is not None
    issued = datetime.fromtimestamp(issued_at, UTC)
    return Verified(
        **_envelope("Verified", login, issued),
        issued_at=issued,
        auth_time=login["auth_time"],
        amr=methods(channel, fed),
        acr=strength(channel, fed),
        aud=login["audience"],
        channel=channel,
        role=login["role"],
        claims=login["claims"],
        device=login["device"],
        secret_hash=base64.urlsafe_b64encode(secret_hash(secret)).decode(),
        account_epoch=login["account_epoch"],
        user_epoch=login["user_epoch"],
    )


def closed(login: Mapping[str, Any], reason: CloseReason, now: datetime) -> LoginClosed:
    """A login ended without a session."""
    return LoginClosed(
        **_envelope("LoginClosed", login, now),
        reason=reason,
    )


def _envelope(kind: str, login: Mapping[str, Any], time: datetime) -> dict[str, Any]:
    return {
        "id": event_id(kind, login["login_id"]),
        "source": SOURCE,
        "time": time,
        "account_id": str(login["account_id"]),
        "user_id": str(login["user_id"]),
        "login_id": str(login["login_id"]),
        "reference": login["reference"],
    }
