"""What the rules need of the world, in their words, and the shapes that pass between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from schemas.events import Channel, Event
from services.delivery.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of the ledger: leased to this worker, or read for a receipt under the lease that it had then (None: none).
    `why` says how its login ended, `now` is the database's clock.
    """

    id: UUID
    login_id: UUID
    channel: Channel
    cause: str
    account_id: UUID
    user_id: UUID
    state: str
    tries: int
    doubtful: int
    lease: UUID | None
    provider: str | None
    sealed: str
    sealed_event: str
    sealed_cause: str
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
    why: str | None
    now: datetime
    device: str | None = None
    recipient: bytes | None = None
    prefixes: bytes | None = None


class Held(NamedTuple):
    """Slots kept for rows about to be claimed, and how many of each channel may be called; `since` is the worker's own
    monotonic clock before it asked.
    """

    slots: int
    since: float
    room: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LoginNow:
    """How a login stands at the moment a fallback is decided."""

    why: str | None
    email_made: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one look at a row. `pause` counts seconds until the next look; None: nobody need look again.
    `untried`: nothing was tried, so it does not count as a try. `refused`: no e-mail takes its place.
    """

    state: State
    reason: str | None = None
    provider: str | None = None
    ref: str | None = None
    ms: int | None = None
    pause: float | None = None
    doubtful: bool = False
    untried: bool = False
    refused: bool = False
    log: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailRow:
    """The e-mail that a fallback makes due, written beside its event."""

    id: UUID
    cause: str
    sealed: str
    masked: str
    recipient: bytes | None
    email_off: bool


@dataclass(frozen=True, slots=True)
class Consequences:
    """What is written in the same transaction as a result."""

    events: Sequence[Event] = ()
    email: EmailRow | None = None


class Ledger(Protocol):
    """The part of Postgres that `send` needs."""

    async def claim(self, slots: int, room: Mapping[str, int]) -> list[Job]: ...
    async def overdue(self, limit: int) -> list[Job]: ...
    async def login_now(self, job: Job) -> LoginNow: ...
    async def settle(self, job: Job, result: Result, then: Consequences) -> bool: ...
    async def give_back(self, jobs: Sequence[Job]) -> None: ...
