"""Which sender an SMS names: the account's own, but where the provider refused it lately."""

from typing import Final

from cachetools import TTLCache

from services.delivery.provider import Message, Retryable

REMEMBERED_SECONDS: Final = 3600


class Senders:
    """`refused` are the provider's codes for a sender that it does not know, or that is not registered or not ours."""

    def __init__(self, usual: str, refused: frozenset[str]) -> None:
        self._usual, self._codes = usual, refused
        self._refused: TTLCache[tuple[str, str], bool] = TTLCache(4096, REMEMBERED_SECONDS)

    def of(self, message: Message) -> str:
        """By the first digits of the number, which say the country."""
        own = message.sender
        return self._usual if own is None or (own, message.to[:4]) in self._refused else own

    def learn(self, message: Message, code: str | None) -> None:
        """Raises `Retryable` for a message that the usual sender can carry."""
        own = self.of(message)
        if own != self._usual and code in self._codes:
            self._refused[own, message.to[:4]] = True
            raise Retryable("sender-refused", 0.0)
