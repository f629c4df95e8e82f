"""Handles (`lg_…`), session tokens (`gp_…`), receipts' tokens (`rc_…`): without the key files nobody makes one."""

import base64
import hashlib
import hmac
from typing import Final, NamedTuple, TypeGuard
from uuid import UUID

from services.platform.keys.keyring import Ring, UnknownKey

FORMAT: Final = 1
MAC: Final = 16
HANDLE_BYTES: Final = 2 + 16 + MAC
RECEIPT_BYTES: Final = 2 + 16 + 16 + MAC
TOKEN_BYTES: Final = 2 + 16 + 4 + 16 + MAC


class BadToken(Exception):
    """Not a handle or token of ours: forged, cut, or of another kind."""


class Token(NamedTuple):
    login_id: UUID
    issued_at: int
    hash: bytes

    def __repr__(self) -> str:
        return f"Token(login_id={self.login_id})"


class Handles:
    """`lg_` + base64url of `format (1) ‖ key id (1) ‖ login_id (16) ‖ MAC (16)`."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def make(self, login_id: UUID) -> str:
        key = self._ring.active
        return "lg_" + _signed(key.secret, b"lg", bytes((FORMAT, key.id)) + login_id.bytes)

    def read(self, text: str) -> UUID:
        """Raises `BadToken`."""
        return UUID(bytes=_checked(self._ring, "lg_", b"lg", HANDLE_BYTES, text)[2:18])


class ReceiptTokens:
    """`rc_` + base64url of `format (1) ‖ key id (1) ‖ login_id (16) ‖ delivery_id (16) ‖ MAC (16)`.

    It names one message to its provider and comes back with the receipt. A delivery's id is the digest of its login,
    channel and cause, so it stands for all three, and the token fits into the 100 characters that Vonage hands back.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def make(self, login_id: UUID, delivery_id: UUID) -> str:
        key = self._ring.active
        return "rc_" + _signed(key.secret, b"rc", bytes((FORMAT, key.id)) + login_id.bytes + delivery_id.bytes)

    def read(self, text: str) -> UUID:
        """The delivery's id. Raises `BadToken`."""
        return UUID(bytes=_checked(self._ring, "rc_", b"rc", RECEIPT_BYTES, text)[18:34])

    @staticmethod
    def is_one(text: str | None) -> TypeGuard[str]:
        """Whether it wants to be one; somebody else's reference is no forgery."""
        return text is not None and text.startswith("rc_")


class SessionTokens:
    """`gp_` + base64url of `format (1) ‖ key id (1) ‖ login_id (16) ‖ issued_at (4) ‖ secret (16) ‖ MAC (16)`."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def make(self, login_id: UUID, issued_at: int, secret: bytes) -> str:
        """`issued_at` is in seconds of Unix time."""
        key = self._ring.active
        body = bytes((FORMAT, key.id)) + login_id.bytes + issued_at.to_bytes(4, "big") + secret
        return "gp_" + _signed(key.secret, b"gp", body)

    def read(self, text: str) -> Token:
        """Raises `BadToken` for what we did not make; a true token is still only as alive as the store says."""
        raw = _checked(self._ring, "gp_", b"gp", TOKEN_BYTES, text)
        return Token(UUID(bytes=raw[2:18]), int.from_bytes(raw[18:22], "big"), secret_hash(raw[22:38]))


class Mint:
    """Derives a session's secret, so that the same login gives the same token and nothing stores it."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    @property
    def active_id(self) -> int:
        return self._ring.active.id

    def secret(self, login_id: UUID, issued_at: int, key_id: int | None = None) -> bytes:
        key = self._ring.active if key_id is None else self._ring.get(key_id)
        return hmac.digest(key.secret, login_id.bytes + issued_at.to_bytes(4, "big"), "sha256")[:16]


def secret_hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()[:16]


def _signed(secret: bytes, kind: bytes, body: bytes) -> str:
    mac = hmac.digest(secret, kind + body, "sha256")[:MAC]
    return base64.urlsafe_b64encode(body + mac).decode().rstrip("=")


def _checked(ring: Ring, prefix: str, kind: bytes, size: int, text: str) -> bytes:
    raw = _decoded(text, prefix)
    if len(raw) != size or raw[0] != FORMAT:
        raise BadToken("wrong length or format")
    try:
        key = ring.get(raw[1])
    except UnknownKey:
        raise BadToken("made with a key that is gone") from None
    if not hmac.compare_digest(hmac.digest(key.secret, kind + raw[:-MAC], "sha256")[:MAC], raw[-MAC:]):
        raise BadToken("the MAC does not match")
    return raw


def _decoded(text: str, prefix: str) -> bytes:
    if not text.startswith(prefix) or not text.isascii() or len(text) > 120:
        raise BadToken("of another kind")
    body = text.removeprefix(prefix)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise BadToken("not base64url") from None
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != body:
        raise BadToken("not in canonical form")
    return raw
