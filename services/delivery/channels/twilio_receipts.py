"""Twilio's receipts: their signature, and what their statuses mean here."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Final

from services.delivery.channels.twilio import reason_of
from services.delivery.ports import Result
from services.delivery.states import State

STATES: Final[Mapping[str, State]] = {
    "delivered": State.DELIVERED,
    "read": State.DELIVERED,
    "undelivered": State.UNDELIVERED,
    "failed": State.UNDELIVERED,
}


def twilio_signature(token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """https://www.twilio.com/docs/usage/security#validating-requests"""
    text = url + "".join(f"{name}{value}" for name, value in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def genuine(token: str, url: str, form: Iterable[tuple[str, str]], given: str) -> bool:
    return hmac.compare_digest(twilio_signature(token, url, form).encode(), given.encode("utf-8", "surrogateescape"))


def result_of(status: str, code: str | None) -> Result | None:
    """None for a status that says nothing yet."""
    state = STATES.get(status)
    if state is None:
        return None
    reason = reason_of(int(code) if code and code.isdecimal() else None) if state == State.UNDELIVERED else None
    return Result(state=state, reason=reason, provider="twilio")
