"""What operators read: deliveries, a login's timeline, the live log. Masked, never a code or a contact."""

import base64
import binascii
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from schemas.events import Country
from services.delivery.states import CauseKind, State
from services.platform.auth import Who, own_account
from services.platform.clock import in_utc

LIMIT = 200


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the ledger as it is shown. `email_off`: an e-mail instead of an SMS, for a user with e-mail off."""

    delivery_id: UUID
    login_id: UUID
    account: UUID
    user: UUID
    channel: str
    cause: str
    state: str
    reason: str | None
    provider: str | None
    to: str
    country: str | None
    tries: int
    created_at: datetime
    updated_at: datetime
    due_at: datetime | None
    expires_at: datetime
    email_off: bool


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a timeline. `ms`: how long a provider was asked; without it nobody was, or it is a receipt. In a
    timeline `after_ms` counts from the beginning of the login, `attempt` the calls of one delivery.
    """

    id: int
    at: datetime
    what: str
    login_id: UUID
    delivery_id: UUID | None = None
    account: UUID | None = None
    channel: str | None = None
    cause: str | None = None
    provider: str | None = None
    reason: str | None = None
    ms: int | None = None
    after_ms: int | None = None
    attempt: int | None = None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """`begun_at`: when the gateway opened the login; None while only its end is known."""

    login_id: UUID
    account: UUID | None
    user: UUID | None
    closed: str | None
    begun_at: datetime | None
    expires_at: datetime | None
    deliveries: Sequence[Delivery]
    steps: Sequence[Step]


Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Word = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[A-Za-z0-9:._-]*$")]
NONE: Final = "-"
"""As a reason or provider that is asked for: there is none."""


def check_span(*ends: datetime | None) -> None:
    """Raises `ValueError`."""
    for end in ends:
        if end is not None:
            in_utc(end)


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Filters of a list; all of them narrow it. `-` is no reason, no provider."""

    account: UUID | None = None
    login_id: UUID | None = None
    state: State | None = None
    reason: Word | None = None
    provider: Word | None = None
    channel: Word | None = None
    since: Instant | None = None
    until: Instant | None = None

    def __post_init__(self) -> None:
        check_span(self.since, self.until)


ReplayName = Annotated[str, msgspec.Meta(pattern=r"^(\*:)?[A-Za-z0-9_-]{1,64}$")]


class ListQuery(Wanted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cause` is a kind of cause: what stands before its colon. `replay` is the id of one, with `*:` before it where it
    was made for all accounts. `unreached`: of logins that no code reached and nobody verified.
    """

    user: UUID | None = None
    country: Country | None = None
    cause: CauseKind | None = None
    email_off: bool = False
    replay: ReplayName | None = None
    unreached: bool = False
    cursor: str | None = None
    limit: int = 50


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Filters of the live log. `state` is what a delivery became, `what` any word of a step."""

    account: UUID | None = None
    login_id: UUID | None = None
    state: State | None = None
    what: Word | None = None
    channel: Word | None = None
    provider: Word | None = None

    def takes(self, step: Step) -> bool:
        asked = (
            (self.account, step.account),
            (self.login_id, step.login_id),
            (self.state, step.what),
            (self.what, step.what),
            (self.channel, step.channel),
            (self.provider, step.provider),
        )
        return all(wanted in (None, found) for wanted, found in asked)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page may be short, even empty, while there is a `next`: each call looks at a bounded number of rows."""

    deliveries: Sequence[Delivery]
    next: str | None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a time that did not arrive, for one reason. `live`: how many have a code that is not over, the oldest
    of them made at `live_since`; whether it still makes sense to send one, `replay` knows.
    """

    state: str
    reason: str | None
    channel: str
    provider: str | None
    many: int
    accounts: int
    live: int
    live_since: datetime | None
    first_at: datetime
    last_at: datetime


class Failures(NamedTuple):
    """Most first. `more`: the newest 20,000 were counted, and there were others before them."""

    groups: Sequence[Failure]
    more: bool


class BadCursor(ValueError):
    """The cursor is not one that a page gave."""


class Position(NamedTuple):
    """A row's place in a list, newest first."""

    created_at: datetime
    id: UUID


class Found(NamedTuple):
    """`cut`: the last row that was looked at, where the look ended before the table did."""

    rows: Sequence[Delivery]
    cut: Position | None


class Reading(Protocol):
    """The part of Postgres that operators read."""

    async def page(self, asked: ListQuery, after: Position | None, limit: int) -> Found: ...
    async def timeline(self, login_id: UUID, account: UUID | None) -> Timeline | None: ...
    async def steps_after(self, last: int, limit: int) -> list[Step]: ...
    async def last_step(self) -> int: ...


async def page(reading: Reading, asked: ListQuery) -> Page:
    """Newest first. Raises `BadCursor`."""
    limit = min(max(asked.limit, 1), LIMIT)
    found = await reading.page(asked, _after(asked.cursor), limit + 1)
    shown = found.rows[:limit]
    more = Position(shown[-1].created_at, shown[-1].delivery_id) if len(found.rows) > limit else found.cut
    return Page(deliveries=shown, next=None if more is None else _cursor(more))


def told(steps: Iterable[Step], begun_at: datetime | None) -> Iterator[Step]:
    """The steps of a login with the time since it began and, where a provider was asked, which attempt it was."""
    calls: Counter[UUID | None] = Counter()
    for step in steps:
        after = (step.at - begun_at) // timedelta(milliseconds=1) if begun_at else None
        calls[step.delivery_id] += step.ms is not None
        attempt = calls[step.delivery_id] if step.ms is not None else None
        yield msgspec.structs.replace(step, after_ms=after, attempt=attempt)


def account_of(who: Who) -> UUID | None:
    """The only account that `who` may see; None: all of them."""
    own = own_account(who)
    return None if own is None else UUID(own)


def _cursor(last: Position) -> str:
    return base64.urlsafe_b64encode(f"{last.created_at.isoformat()} {last.id}".encode()).decode()


def _after(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    try:
        at, _, row = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        return Position(in_utc(datetime.fromisoformat(at)), UUID(row))
    except (ValueError, binascii.Error):
        raise BadCursor from None
