"""The signatures of Standard Webhooks, symmetric (https://github.com/standard-webhooks/standard-webhooks, spec 1.0.0):
HMAC-SHA256 over id, time and body.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "whsec_"
VERSION: Final = "v1,"
SHORTEST, LONGEST = 24, 64
TOLERANCE: Final = 300.0
MOST_SIGNATURES: Final = 16
LONGEST_ID: Final = 256


class Secret:
    """`whsec_` and the base64 of 24 to 64 bytes. Raises `ValueError` for anything else."""

    def __init__(self, text: str) -> None:
        try:
            key = base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
        except binascii.Error:
            key = b""
        if not SHORTEST <= len(key) <= LONGEST:
            raise ValueError("not `whsec_` and the base64 of 24 to 64 bytes")
        self._key = key

    def __repr__(self) -> str:
        return "Secret()"

    def headers(self, message_id: str, now: float, body: bytes) -> dict[str, str]:
        at = str(int(now))
        return {
            "webhook-id": message_id,
            "webhook-timestamp": at,
            "webhook-signature": VERSION + self._signature(message_id, at, body),
        }

    def is_genuine(self, headers: Mapping[str, str], now: float, body: bytes) -> bool:
        """An id with a dot would move the borders between what is signed."""
        message_id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        given = headers.get("webhook-signature", "").split(" ")
        if not (0 < len(message_id) <= LONGEST_ID and "." not in message_id and _is_young(at, now)):
            return False
        mine = (VERSION + self._signature(message_id, at, body)).encode()
        same = [hmac.compare_digest(mine, one.encode(errors="surrogateescape")) for one in given[:MOST_SIGNATURES]]
        return any(same)

    def _signature(self, message_id: str, at: str, body: bytes) -> str:
        signed = f"{message_id}.{at}.".encode(errors="surrogateescape") + body
        return base64.b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode()


def _is_young(at: str, now: float) -> bool:
    if not (at.isascii() and at.isdecimal() and len(at) <= 12):
        return False
    return abs(now - int(at)) <= TOLERANCE
