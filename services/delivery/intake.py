"""What events write, and what `ingest` needs of the world to write it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from services.delivery.ports import Held, Job


class Record(Protocol):
    """What Kafka gives: never decoded before it is here."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Any: ...


class BadRecord(Exception):
    """It will never be usable; the text is the reason's name."""


class NotStorable(Exception):
    """Postgres refuses a value for itself: one record of the batch is to blame."""


class Challenge(NamedTuple):
    id: UUID
    login_id: UUID
    channel: str
    cause: str
    account_id: UUID
    user_id: UUID
    account_epoch: int | None
    user_epoch: int | None
    sealed: str
    masked: str
    masked_email: str | None
    country: str | None
    locale: str | None
    origin: str | None
    code_key_id: int
    digits: int
    begun_at: datetime
    challenged_at: datetime
    expires_at: datetime
    recipient: bytes | None
    sealed_event: str = "LoginChallenged"
    opened: bool = True
    device: str | None = None
    prefixes: bytes | None = None


class Closing(NamedTuple):
    login_id: UUID
    account_id: UUID
    user_id: UUID
    account_epoch: int | None
    user_epoch: int | None
    why: str
    by_sms: bool = False


class Floor(NamedTuple):
    """`erased`: of a user who is no more."""

    scope: str
    id: UUID
    floor: int
    erased: bool = False


class DeadLetterRow(NamedTuple):
    id: UUID
    topic: str
    partition: int
    offset: int
    reason: str
    service: str
    key: bytes
    sealed: bytes


class Intake(Protocol):
    """The part of Postgres that `ingest` needs."""

    async def challenges(self, found: Sequence[Challenge], held: Held) -> list[Job]: ...
    async def emails(self, found: Sequence[tuple[UUID, str]], held: Held) -> list[Job]: ...
    async def closings(self, closed: Sequence[Closing], floors: Sequence[Floor]) -> bool: ...
    async def dead_letters(self, found: Sequence[DeadLetterRow]) -> None: ...


class Slots(Protocol):
    """Where leased rows go at once."""

    def hold(self, most: int) -> AbstractContextManager[Held]: ...
    def start(self, jobs: Sequence[Job], held: Held) -> None: ...
    def wake(self) -> None: ...


class Bin(Protocol):
    """Where records go that nobody can use."""

    async def send(self, record: Any, reason: str) -> None: ...


def uuid_in(text: object) -> UUID:
    """Raises `BadRecord` when it is none."""
    try:
        return UUID(str(text))
    except ValueError:
        raise BadRecord("bad-id") from None
