"""Vonage's receipts: their signed JWT, and what their statuses mean here
(https://developer.vonage.com/en/messages/concepts/signed-webhooks).
"""

import hashlib
import hmac
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeGuard

import jwt
import msgspec

from services.delivery.channels.vonage import error_code
from services.delivery.channels.vonage_errors import ERRORS
from services.delivery.ports import Result
from services.delivery.receipts import Forged, Given, Receipt
from services.delivery.states import State

LONGEST_AGE: Final = 300.0
CLOCKS_APART: Final = 60.0
CLAIMS: Final = ["iat", "payload_hash", "api_key"]
OPTIONS: Final[Any] = {"require": CLAIMS, "verify_iat": False, "verify_exp": False, "verify_nbf": False}
STATES: Final[Mapping[str, State]] = {
    "delivered": State.DELIVERED,
    "read": State.DELIVERED,
    "rejected": State.UNDELIVERED,
    "undeliverable": State.UNDELIVERED,
}


class VonageReceipts:
    """`secret` signs all webhooks of the account `api_key`; `application_id` is the one that sends for us."""

    def __init__(self, secret: str, api_key: str, application_id: str, now: Callable[[], float] = time.time) -> None:
        self._secret, self._api_key, self._application_id, self._now = secret, api_key, application_id, now

    def read(self, given: Given) -> Receipt:
        """Raises `Forged`. The JWT holds the SHA-256 of the body, and when and for whom it was made."""
        claims = self._claims(given.headers.get("Authorization", ""))
        expected = [
            (hashlib.sha256(given.body).hexdigest(), claims["payload_hash"]),
            (self._api_key, claims["api_key"]),
        ]
        if "application_id" in claims:
            expected.append((self._application_id, claims["application_id"]))
        if not all([_same(mine, theirs) for mine, theirs in expected]):
            raise Forged
        said = _json(given.body)
        ref = said.get("client_ref")
        return Receipt(ref if isinstance(ref, str) else None, result_of(said))

    def _claims(self, authorization: str) -> dict[str, Any]:
        scheme, _, token = authorization.partition(" ")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", jwt.warnings.InsecureKeyLengthWarning)  # Vonage chose the secret
                claims = jwt.decode(token, self._secret, algorithms=["HS256"], options=OPTIONS)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Forged from None
        if scheme.lower() != "bearer" or not self._is_young(claims["iat"], claims.get("exp")):
            raise Forged
        return claims

    def _is_young(self, made: object, ends: object) -> bool:
        """The times of PyJWT are the process' own clock: here it is passed in."""
        now = self._now()
        if not _is_number(made) or not -CLOCKS_APART <= now - made <= LONGEST_AGE:
            return False
        return ends is None or (_is_number(ends) and now < ends + CLOCKS_APART)


def result_of(said: Mapping[str, Any]) -> Result | None:
    """None for a status that says nothing yet."""
    status, error = said.get("status"), said.get("error")
    state = STATES.get(status) if isinstance(status, str) else None
    if state is None:
        return None
    code = error_code(error) if isinstance(error, dict) else None
    return Result(state=state, reason=ERRORS.reason_of(code) if state == State.UNDELIVERED else None, provider="vonage")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(mine: str, theirs: object) -> bool:
    return isinstance(theirs, str) and hmac.compare_digest(mine.encode(), theirs.encode("utf-8", "surrogatepass"))


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
