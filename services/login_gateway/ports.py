"""What the gateway's rules ask of the world. `services/login_gateway/postgres` does it.

Each verb that writes is one transaction, the events it is given included; its caller publishes them afterwards.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from schemas.events import Channel, CloseReason
from services.login_gateway.brands import Brand
from services.login_gateway.feed_budget import Budget
from services.platform.outbox import OutboxRow

Row = Mapping[str, Any]


class Rule(NamedTuple):
    """At most so many in so many seconds."""

    most: int
    seconds: int


class Kept(NamedTuple):
    """What is kept of an `Idempotency-Key`: keyed hashes of it and of the body without its password."""

    key: bytes
    body_mac: bytes


class Opened(Enum):
    """How `Logins.open` ended; only `NOW` has written anything."""

    NOW = "now"
    KEY_TAKEN = "key-taken"
    REFERENCE_TAKEN = "reference-taken"
    USER_CHANGED = "user-changed"


class TryLimits(NamedTuple):
    """Wrong codes of a user in 15 minutes, in a day, since the last right one; tries of a login."""

    quarter: int
    day: int
    in_a_row: int
    login: int


class Right(NamedTuple):
    """The code is right: what is kept of the session that begins. `told` makes what its user is told of it."""

    channel: str
    issued_at: int
    mint_key_id: int
    verify_key: bytes | None
    verified: OutboxRow
    told: Callable[[Row], Sequence[OutboxRow]] | None = None


class FedBy(NamedTuple):
    """The client that fed a login, and how many wrong codes in an hour, and in which part of its logins, stop it."""

    client_id: str
    wrong_hour: int
    wrong_percent: int


class Wrong(NamedTuple):
    """The code is wrong, and what follows. `locked` tells whoever is locked by it, from their row."""

    locked: Callable[[Row], list[OutboxRow]] | None = None
    long_codes: bool = False
    fed: FedBy | None = None
    closed: OutboxRow | None = None


class Tried(NamedTuple):
    login: Row
    judged: Right | Wrong
    rows: list[OutboxRow]
    feed_stopped: bool = False


class Move(NamedTuple):
    """A partition of `logins` is read on: from where it was left to behind the last record of a batch."""

    partition: int
    first: int
    after: int


class Moved(Exception):
    """Somebody else has read these records already."""


class Contended(Exception):
    """Somebody holds what a batch of fed logins needs; a batch waits for nobody who signs in."""


class NotStorable(ValueError):
    """The database refuses a value for itself; trying again will not help."""


class StillBusy(Exception):
    """Only what is under way stands in the way, and it does not end."""


class Publisher(Protocol):
    """Sends what a transaction has written, after its commit."""

    def publish_soon(self, rows: Iterable[OutboxRow]) -> Sequence[Awaitable[bool]]: ...


class Users(Protocol):
    """Who may sign in."""

    async def account_id(self, name: str | None) -> UUID | None: ...
    async def by_name(self, account_id: UUID, username_key: str) -> Row | None: ...
    async def by_id(self, account_id: UUID, user_id: UUID | None, external_id: str | None) -> Row | None: ...
    async def rehash(self, user: Row, password_hash: str) -> None: ...


class Counters(Protocol):
    """Sliding windows, shared by all processes. Parallel calls never slip through. `begin` may raise `StillBusy`."""

    async def take(self, *wanted: tuple[Sequence[bytes], Sequence[Rule]]) -> bool: ...
    async def give_back(self, names: Sequence[bytes]) -> None: ...
    async def begin(self, name: bytes, rule: Rule) -> bool: ...
    async def end(self, names: Sequence[bytes], wrong: bool) -> datetime: ...


Word = tuple[UUID, Channel, Row]
"""What delivery says of the newest message of a login by a channel."""


class Logins(Protocol):
    """Logins, from the first step to the last. `judge` decides inside the transaction that counted the try."""

    async def get(self, login_id: UUID) -> Row | None: ...
    async def open(self, login: Row, event: OutboxRow, kept: Kept | None) -> Opened: ...
    async def try_code(
        self, login_id: UUID, most: TryLimits, judge: Callable[[Row], Right | Wrong]
    ) -> Tried | None: ...
    async def count_send(self, login: Row, channel: Channel, event: OutboxRow) -> bool: ...
    async def tell(self, words: Sequence[Word]) -> None: ...


class Brands(Protocol):
    """What accounts' pages look like; an account without a brand has an empty one."""

    async def of(self, account_id: UUID) -> Brand: ...


class Repetitions(Protocol):
    """Calls that were made before."""

    async def of_key(self, user_id: UUID, key: bytes) -> Row | None: ...
    async def end(self, login_id: UUID) -> None: ...


class Feeds(Protocol):
    """What platforms feed, by their own references."""

    async def by_reference(self, account_id: UUID, reference: str) -> Row | None: ...
    async def free_reference(self, account_id: UUID, reference: str) -> None: ...
    async def refuse(self, event: OutboxRow) -> None: ...
    async def spend(self, account_id: UUID, logins: int) -> tuple[bool, Budget]: ...
    async def count(self, client_id: str, logins: int) -> None: ...
    async def stopped(self, client_id: str) -> bool: ...


class Upkeep(Protocol):
    """What nobody calls for: logins that end by themselves, rows that no rule asks for any more."""

    async def close(self, told: Callable[[Row, CloseReason], OutboxRow]) -> list[OutboxRow]: ...
    async def lengthen_codes(self, account_hour: int, hour: int) -> list[str]: ...
