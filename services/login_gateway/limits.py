"""The names of what is counted; the counting itself is behind `ports.Counters`."""

import hmac
from typing import Final

from services.platform.keys.keyring import Ring

DAY: Final = 86_400


class Names:
    """Counter names: an HMAC of what is counted."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def of(self, *parts: object) -> bytes:
        text = "\x1f".join(str(part) for part in parts)
        return hmac.digest(self._ring.active.secret, b"counter\x1f" + text.encode(), "sha256")
