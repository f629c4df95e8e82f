"""Ed25519 signatures (RFC 8032) over what the gateway says about sessions and clients."""

from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.topics import SIGNATURE_HEADER
from services.platform.keys.keyring import Ring, UnknownKey


class BadSignature(Exception):
    """Unsigned, or signed by nobody we know, or over other bytes."""


class Signer:
    """Holds the private `grants` ring: only the gateway does."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def sign(self, topic: str, key: bytes, value: bytes) -> bytes:
        """`key id (1) ‖ signature (64)`."""
        active = self._ring.active
        signature = Ed25519PrivateKey.from_private_bytes(active.secret).sign(_message(topic, key, value))
        return bytes((active.id,)) + signature


class Verifier:
    """Holds the public ring `grants.pub`."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def verify(self, topic: str, key: bytes, value: bytes, signature: bytes | None) -> None:
        """Raises `BadSignature`."""
        if signature is None or len(signature) != 65:
            raise BadSignature("unsigned")
        try:
            _verify(self._ring.get(signature[0]).secret, signature[1:], _message(topic, key, value))
        except UnknownKey:
            raise BadSignature("signed with an unknown key") from None
        except InvalidSignature:
            raise BadSignature("the signature does not match") from None

    def verify_record(self, record: Any) -> None:
        """The same for a Kafka record, whose signature is a header."""
        signature = dict(record.headers or ()).get(SIGNATURE_HEADER)
        self.verify(record.topic, record.key or b"", record.value or b"", signature)


@lru_cache(maxsize=1024)
def _verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Raises `InvalidSignature`. What two readers in one process get within moments is computed once."""
    Ed25519PublicKey.from_public_bytes(public).verify(signature, message)


def _message(topic: str, key: bytes, value: bytes) -> bytes:
    name = topic.encode()
    return b"gatepost grant\x00" + b"".join(len(part).to_bytes(4, "big") + part for part in (name, key, value))
