"""What a provider is to delivery: one call that ends in a reference or in one of three honest errors."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol


class Retryable(Exception):
    """The provider did not take it and may take it later."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.after = reason, after


class SenderRefused(Retryable):
    """An account's own sender is not for this number; the provider's own is taken for the next try."""


class Blame(Enum):
    """What a refusal is about: this number, which nobody reaches; this provider's way to it; the provider itself."""

    NUMBER = auto()
    ROUTE = auto()
    PROVIDER = auto()


class Permanent(Exception):
    """The provider refused this message for good. Unless the number is to blame, another provider may take it."""

    def __init__(self, reason: str, blame: Blame = Blame.NUMBER) -> None:
        super().__init__(reason)
        self.reason, self.blame = reason, blame


class Unknown(Exception):
    """Nobody can tell whether the provider took it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """`to` and `text` never reach a log. `sender` is what the account wants to be called: a display name of an e-mail,
    a name or number of an SMS; None: the provider's own. An SMS has no subject and no `html`.
    `token` names the message to whom gives receipts for it.
    """

    delivery_id: str
    to: str
    subject: str
    text: str
    html: str | None = None
    sender: str | None = None
    locale: str | None = None
    token: str = ""


class Channel(Protocol):
    name: str
    channel: str
    gives_receipts: bool

    async def send(self, message: Message, timeout: float) -> str:
        """The provider's own reference; raises `Retryable`, `Permanent` or `Unknown`."""
        ...

    async def close(self) -> None: ...
