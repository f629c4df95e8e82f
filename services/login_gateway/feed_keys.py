"""Who wrote a record on `logins`: a feed client signs with an Ed25519 key (RFC 8032) that its secret gives.

The gateway keeps the public half only: neither its database nor its events let anybody feed.
"""

import base64
import hashlib
import hmac
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PURPOSE: Final = b"gatepost feed key"
SIGNED: Final = b"gatepost logins\n"
LONGEST: Final = 256


class Signature(NamedTuple):
    """The header `gatepost-signature` of a record: `<client_id>:<base64url of 64 bytes>`."""

    client_id: str
    value: bytes


def public_key(secret: str) -> bytes:
    """Of the key pair whose seed is HMAC-SHA256(secret, PURPOSE): 32 bytes."""
    seed = hmac.digest(secret.encode(), PURPOSE, hashlib.sha256)
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def parsed(header: bytes | None) -> Signature | None:
    """None for what is no such header."""
    if header is None or len(header) > LONGEST or not header.isascii():
        return None
    client_id, _, text = header.decode().partition(":")
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return Signature(client_id, value) if client_id.isprintable() and len(value) == 64 else None


def matches(public: bytes, signature: bytes, record: bytes) -> bool:
    """Whether the record's value was signed by the holder of the secret."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, SIGNED + record)
    except InvalidSignature:
        return False
    return True
