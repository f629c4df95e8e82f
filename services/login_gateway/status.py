"""What a login's client may know: where the code is, and what it can do next. Fed by `delivery-outcomes`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from schemas.events import CodeDelivered, CodeSent, DeliveryFailed
from services.login_gateway.house import House
from services.login_gateway.resend import resend_at
from services.login_gateway.verify import why_closed
from services.platform.http import Problem

State = Literal["none", "queued", "sent", "delivered", "failed"]  # `none`: no code was needed


async def one(house: House, login_id: UUID) -> Mapping[str, Any]:
    """The login as it is now. Raises 404, as for one whose user was deleted."""
    if (found := await house.logins.get(login_id)) is None:
        raise Problem(404, "not-found", "There is no such login.")
    return found


def view(house: House, login: Mapping[str, Any]) -> dict[str, Any]:
    """The body of 202 and of GET: masked recipients only."""
    reason = why_closed(house, login)
    status = "signed_in" if reason == "used" else "closed" if reason else "code_required"
    return {
        "status": status,
        "reason": reason if status == "closed" else None,
        "login": house.handles.make(login["login_id"]),
        "login_id": login["login_id"],
        "delivery": delivery(login),
        "sends": sends(login),
        "expires_at": login["expires_at"],
        "resend_at": resend_at(login),
        "attempts_left": max(0, house.settings.tries_per_login - login["attempts"]),
    }


def sends(login: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The newest word about each channel."""
    known: dict[str, dict[str, Any]] = login["delivery"]
    return [
        {"channel": channel, **state, "at": datetime.fromisoformat(state["at"])}
        | ({"to": _shown(login, channel, state["to"])} if "to" in state else {})
        for channel, state in known.items()
    ]


def delivery(login: Mapping[str, Any]) -> dict[str, Any]:
    """The newest word about the code: `queued` until delivery says something."""
    known: dict[str, dict[str, Any]] = login["delivery"]
    if not known:
        return {"state": "none", "channel": None, "to": None, "reason": None}
    channel, state = max(known.items(), key=lambda item: datetime.fromisoformat(item[1]["at"]))
    if state["state"] == "failed" and channel == "sms" and state.get("next") == "email":
        channel, state = "email", _made_by(state, known.get("email")) or {"state": "queued"}
    to = _shown(login, channel, login["masked"].get(channel))
    return {"state": state["state"], "channel": channel, "to": to, "reason": state.get("reason")}


def _made_by(sms: Mapping[str, Any], email: dict[str, Any] | None) -> dict[str, Any] | None:
    """What is known of the e-mail that a failed SMS made. It may bear an earlier time: two calls were timed apart."""
    return email if email is not None and email["cause"] == f"fallback:{sms['cause']}" else None


def _shown(login: Mapping[str, Any], channel: str, masked: str | None) -> str | None:
    """A mailbox that is off for its user shows no domain: whoever has the password need not learn where it is."""
    if masked is None or channel != "email" or "email" in login["factors"]:
        return masked
    return masked.partition("@")[0] + "@•••"


def word_of(event: CodeSent | CodeDelivered | DeliveryFailed) -> dict[str, Any]:
    """What an outcome says about its channel."""
    said = {"cause": event.cause, "at": event.time.astimezone(UTC).isoformat()}
    match event:
        case CodeSent():
            return {"state": "sent", "to": event.masked, **said}
        case CodeDelivered():
            return {"state": "delivered", "to": event.masked, **said}
        case DeliveryFailed():
            state: State = "queued" if event.next == "retry" else "failed"
            return {"state": state, "reason": event.reason, "next": event.next, **said}


def heard(view_now: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a client that follows the login should hear of when it changes."""
    return tuple(view_now[name] for name in ("status", "delivery", "attempts_left", "resend_at"))


def ends(view_now: Mapping[str, Any]) -> bool:
    return bool(view_now["status"] != "code_required")
