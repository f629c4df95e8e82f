"""Dead letters are sealed to delivery's X25519 key: ephemeral agreement, HKDF, AES-256-GCM (the shape of RFC 9180)."""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.platform.keys.keyring import Ring, SealBroken

FORMAT: Final = 1


class DeadLetterSeal:
    """Holds the public ring `dead-letters.pub`: every service seals, none of them can read again."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def seal(self, data: bytes) -> bytes:
        """`format (1) ‖ key id (1) ‖ ephemeral public key (32) ‖ nonce (12) ‖ ciphertext and tag`."""
        key = self._ring.active
        ephemeral = X25519PrivateKey.generate()
        public = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(key.secret))
        nonce = os.urandom(12)
        return bytes((FORMAT, key.id)) + public + nonce + _cipher(shared, public, key.secret).encrypt(nonce, data, None)


class DeadLetterOpener:
    """Holds the private ring `dead-letters`: delivery only."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def open(self, blob: bytes) -> bytes:
        """Raises `SealBroken` or `UnknownKey`."""
        if len(blob) < 62 or blob[0] != FORMAT:
            raise SealBroken("not a sealed dead letter")
        private = X25519PrivateKey.from_private_bytes(self._ring.get(blob[1]).secret)
        public = blob[2:34]
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
        try:
            cipher = _cipher(shared, public, private.public_key().public_bytes_raw())
            return cipher.decrypt(blob[34:46], blob[46:], None)
        except InvalidTag:
            raise SealBroken("the dead letter was altered") from None


def _cipher(shared: bytes, ephemeral: bytes, recipient: bytes) -> AESGCM:
    info = b"gatepost dead letter" + ephemeral + recipient
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(shared))
