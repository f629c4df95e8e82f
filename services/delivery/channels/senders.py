"""Whose name or number an SMS comes from: the account's own, but where the provider refused that one lately."""

from typing import Final

from cachetools import TTLCache

from services.delivery.provider import Message, SenderRefused
from services.delivery.vendor_errors import VendorError

REMEMBERED_SECONDS: Final = 3600
REFUSED: Final = frozenset({"bad-sender", "no-route", "unregistered-sender"})


class Senders:
    """Remembered by the first digits of a number, which say its country."""

    def __init__(self, default: str) -> None:
        self._default = default
        self._refused: TTLCache[tuple[str, str], bool] = TTLCache(4096, REMEMBERED_SECONDS)

    def of(self, message: Message) -> str:
        own = message.sender
        return self._default if own is None or (own, message.to[:4]) in self._refused else own

    def learn(self, message: Message, refused: VendorError | None) -> None:
        """Raises `SenderRefused` for a message that the provider's own sender may carry."""
        own = self.of(message)
        if own != self._default and refused is not None and refused.word in REFUSED:
            self._refused[own, message.to[:4]] = True
            raise SenderRefused(refused.reason)
