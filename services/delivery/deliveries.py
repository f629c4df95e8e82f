"""What operators read: deliveries, a login's timeline, the live log. Masked, never a code or a contact."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Protocol
from uuid import UUID

import msgspec

from services.delivery.states import State
from services.platform.auth import Who, own_account

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
    """One line of a timeline."""

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


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    login_id: UUID
    account: UUID | None
    user: UUID | None
    closed: str | None
    expires_at: datetime | None
    deliveries: Sequence[Delivery]
    steps: Sequence[Step]


Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Word = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[A-Za-z0-9:._-]*$")]


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Filters of a list; all of them narrow it."""

    account: UUID | None = None
    login_id: UUID | None = None
    state: State | None = None
    reason: Word | None = None
    provider: Word | None = None
    channel: Word | None = None
    since: Instant | None = None
    until: Instant | None = None


class ListQuery(Wanted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    email_off: bool = False
    cursor: str | None = None
    limit: int = 50


class Page(msgspec.Struct, frozen=True, kw_only=True):
    deliveries: Sequence[Delivery]
    next: str | None


class BadCursor(ValueError):
    """The cursor is not one that a page gave."""


class Reading(Protocol):
    """The part of Postgres that operators read."""

    async def page(self, asked: ListQuery, after: tuple[datetime, UUID] | None, limit: int) -> list[Delivery]: ...
    async def timeline(self, login_id: UUID, account: UUID | None) -> Timeline | None: ...
    async def steps_after(self, last: int, limit: int) -> list[Step]: ...
    async def last_step(self) -> int: ...


async def page(reading: Reading, asked: ListQuery) -> Page:
    """Newest first. Raises `BadCursor`."""
    limit = min(max(asked.limit, 1), LIMIT)
    found = await reading.page(asked, _after(asked.cursor), limit + 1)
    shown = found[:limit]
    return Page(deliveries=shown, next=_cursor(shown[-1]) if len(found) > limit else None)


def account_of(who: Who) -> UUID | None:
    """The only account that `who` may see; None: all of them."""
    own = own_account(who)
    return None if own is None else UUID(own)


def _cursor(last: Delivery) -> str:
    return base64.urlsafe_b64encode(f"{last.created_at.isoformat()} {last.delivery_id}".encode()).decode()


def _after(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        at, _, row = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        when = datetime.fromisoformat(at)
        if when.tzinfo is None:
            raise ValueError
        return when, UUID(row)
    except (ValueError, binascii.Error):
        raise BadCursor from None
