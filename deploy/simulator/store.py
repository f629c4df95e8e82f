"""What arrived, and what was tried: in memory, the newest 20,000 of each."""

import asyncio
import re
import uuid
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

KEPT: Final = 20_000
CODE: Final = re.compile(r"(?<![\d+])\d{6,10}(?!\d)")


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def folded(to: str) -> str:
    """One spelling for each recipient: E.164 for phones, lower case for addresses."""
    return to.strip().casefold() if "@" in to or to == "*" else "+" + re.sub(r"\D", "", to)


def code_in(text: str) -> str | None:
    found = CODE.search(text)
    return found.group() if found else None


@dataclass
class Message:
    """One SMS or e-mail. `accepted` is False where the sender was told that it failed although it arrived.

    `fault` is what went wrong around it: with its answer, or with its receipts.
    """

    channel: str
    to: str
    sender: str
    body: str
    subject: str | None = None
    html: str | None = None
    headers: dict[str, str] | None = None
    accepted: bool = True
    fault: str | None = None
    provider: str | None = None
    status: str = "received"
    code: str | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    at: str = field(default_factory=now)

    def __post_init__(self) -> None:
        self.code = code_in(self.body)

    def shown(self) -> dict[str, Any]:
        fields = asdict(self)
        return fields | {"from": fields.pop("sender")}


@dataclass
class Attempt:
    """One submission, also one that was refused; `arrived` says whether there is a message of it.

    `came` is when it was all here, `at` when it was answered; `ref` is the sender's own name for it, where it gave one.
    """

    channel: str
    to: str
    mode: str | None
    answered: str
    arrived: bool
    code: str | None = None
    ref: str | None = None
    came: str = field(default_factory=now)
    provider: str | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    at: str = field(default_factory=now)


class Store:
    def __init__(self) -> None:
        self.messages: deque[Message] = deque(maxlen=KEPT)
        self.attempts: deque[Attempt] = deque(maxlen=KEPT)
        self._news = asyncio.Condition()
        self.version = 0

    async def add(self, message: Message) -> None:
        self.messages.append(message)
        await self.tell()

    async def tried(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        await self.tell()

    async def clear(self) -> None:
        self.messages.clear()
        self.attempts.clear()
        await self.tell()

    def newest(self, channel: str, limit: int) -> list[dict[str, Any]]:
        """Newest first: messages, and attempts that left none."""
        messages = (m.shown() for m in reversed(self.messages) if m.channel == channel)
        refused = (asdict(a) for a in reversed(self.attempts) if a.channel == channel and not a.arrived)
        both = [*islice(messages, limit), *islice(refused, limit)]
        return sorted(both, key=lambda item: str(item["at"]), reverse=True)[:limit]

    def find(self, to: str | None, channel: str | None, after: str | None) -> list[dict[str, Any]]:
        """Oldest first; `after` is a message's id or an instant."""
        return [m.shown() for m in self._after(after) if _matches(m, to, channel)]

    def _after(self, after: str | None) -> list[Message]:
        every = list(self.messages)
        if not after:
            return every
        place = next((n for n, m in enumerate(every) if m.id == after), None)
        if place is not None:
            return every[place + 1 :]
        since = datetime.fromisoformat(after)
        if since.tzinfo is None:
            raise ValueError("an instant needs its offset")
        return [m for m in every if datetime.fromisoformat(m.at) > since]

    async def changed(self, since: int, timeout: float) -> int:
        """Wait for news; gives the new version, or the same one after the timeout."""
        try:
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: self.version != since)
        except TimeoutError:
            pass
        return self.version

    async def tell(self) -> None:
        """Wake everybody who waits for news."""
        async with self._news:
            self.version += 1
            self._news.notify_all()


def _matches(message: Message, to: str | None, channel: str | None) -> bool:
    return (to is None or folded(message.to) == folded(to)) and channel in (None, message.channel)
