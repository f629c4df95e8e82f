"""Twilio's receipts: their signature, and what their statuses mean here."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from services.delivery.channels.twilio_errors import ERRORS
from services.delivery.ports import Result
from services.delivery.receipts import Forged, Given, Receipt
from services.delivery.states import State
from services.delivery.vendor_errors import code_in

PORTS: Final = {"https": 443, "http": 80}
JSON: Final = "application/json"
RAW: Final = "surrogateescape"  # bytes that are no UTF-8 stay what they are
STATES: Final[Mapping[str, State]] = {
    "delivered": State.DELIVERED,
    "read": State.DELIVERED,
    "undelivered": State.UNDELIVERED,
    "failed": State.UNDELIVERED,
}


class TwilioReceipts:
    """https://www.twilio.com/docs/usage/security#validating-requests"""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token

    def read(self, given: Given) -> Receipt:
        """Raises `Forged`. A JSON body is signed by its SHA-256 in the URL, a form by its fields."""
        url = f"{self._url}?{given.query}" if given.query else self._url
        query, form = dict(parse_qsl(given.query)), list[tuple[str, str]]()
        if given.content_type == JSON:
            fields = _json(given.body) if _same(hashlib.sha256(given.body).hexdigest(), query.get("bodySHA256")) else {}
        else:
            form = parse_qsl(given.body.decode(errors=RAW), keep_blank_values=True, errors=RAW)
            fields = dict(form)
        if not fields or not genuine(self._token, url, form, given.headers.get("X-Twilio-Signature", "")):
            raise Forged
        return Receipt(query.get("token"), result_of(fields.get("MessageStatus"), fields.get("ErrorCode")))


def twilio_signature(token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    text = url + "".join(f"{name}{value}" for name, value in sorted(set(form)))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(errors=RAW), hashlib.sha1)).decode()


def genuine(token: str, url: str, form: Iterable[tuple[str, str]], given: str) -> bool:
    """Twilio writes the scheme's own port or leaves it out, as its library allows for."""
    signed = [twilio_signature(token, spelled, list(form)) for spelled in spellings(url)]
    return any([_same(one, given) for one in signed])


def spellings(url: str) -> list[str]:
    parts = urlsplit(url)
    bare = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    full = parts.netloc if parts.port else f"{parts.netloc}:{PORTS.get(parts.scheme, 80)}"
    return [parts._replace(netloc=netloc).geturl() for netloc in (bare, full)]


def result_of(status: object, code: object) -> Result | None:
    """None for a status that says nothing yet."""
    state = STATES.get(status) if isinstance(status, str) else None
    if state is None:
        return None
    reason = ERRORS.reason_of(code_in(code)) if state == State.UNDELIVERED else None
    return Result(state=state, reason=reason, provider="twilio")


def _same(one: str, other: str | None) -> bool:
    return hmac.compare_digest(one.encode(), (other or "").encode(errors=RAW))


def _json(body: bytes) -> dict[str, object]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
