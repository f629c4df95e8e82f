"""Ed25519 signatures (RFC 8032) of the events that open or end sessions."""

import base64
import json
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gatepost_client.errors import GatepostError

LENGTH: Final = 65
PURPOSE: Final = "grants.pub"


class BadSignature(GatepostError):
    """A record that says what only the gateway may say, without its signature."""

    do = "Do not act on it; find out who writes to the topic. If keys were rotated, bring the new grants.pub.json."


class BadKeys(GatepostError):
    """The file of public keys cannot be used."""

    do = "Copy `grants.pub.json` from the session store's keys (`gatepost keys list`)."


class PublicKeys:
    """The gateway's public keys, from a copy of `grants.pub.json`; it is read again when it changed."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[int, Ed25519PublicKey] = {}
        self._read()

    def verify(self, topic: str, key: bytes, value: bytes, signature: bytes | None) -> None:
        """Raises `BadSignature`. `signature` is `key id (1) ‖ signature (64)`, the header `gatepost-signature`."""
        if signature is None or len(signature) != LENGTH:
            raise BadSignature("bad-signature", "The record is not signed.")
        if signature[0] not in self._keys:
            self._read()
        known = self._keys.get(signature[0])
        if known is None:
            raise BadSignature("bad-signature", f"It is signed with key {signature[0]}, which is not known here.")
        try:
            known.verify(signature[1:], _message(topic, key, value))
        except InvalidSignature:
            raise BadSignature("bad-signature", "The signature does not match.") from None

    def refresh(self) -> None:
        """Read the file again if it changed: a revoked key counts no longer. Raises `BadKeys`."""
        if self._stamp != self._stamp_now():
            self._read()

    def _read(self) -> None:
        try:
            self._stamp = self._stamp_now()
            raw = json.loads(self._path.read_text())
            if raw["purpose"] != PURPOSE:
                raise BadKeys("bad-keys", f"{self._path}: the keys of {raw['purpose']}.")
            self._keys = {key["id"]: _public(key["secret"]) for key in raw["keys"]}
        except (OSError, ValueError, KeyError, TypeError) as bad:
            raise BadKeys("bad-keys", f"{self._path}: {type(bad).__name__}.") from None

    def _stamp_now(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path)
        except OSError as bad:
            raise BadKeys("bad-keys", f"{self._path}: {bad.strerror}.") from None
        return found.st_mtime_ns, found.st_ino


def _public(text: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text))


def _message(topic: str, key: bytes, value: bytes) -> bytes:
    name = topic.encode()
    return b"gatepost grant\x00" + b"".join(len(part).to_bytes(4, "big") + part for part in (name, key, value))
