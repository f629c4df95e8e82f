"""The events of the topics that applications read; the one that they write is in `fed_records`. A test of Gatepost's
compares them with its contract.

Fields that a newer Gatepost adds are ignored; words may get new values, so they are plain text here.
"""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

Instant = Annotated[datetime, Meta(tz=True)]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The envelope. `id` names what happened: an event that comes twice has the same."""

    id: str
    source: str
    time: Instant
    version: int = 1
    account_id: str
    user_id: str | None = None
    login_id: str | None = None
    reference: str | None = None


class CodeSent(Event, frozen=True, kw_only=True, tag=True):
    """A provider took the message. `masked` is the recipient, `cause` why it was sent: `login`, `resend:2`, …"""

    cause: str
    channel: str
    provider: str
    masked: str
    country: str | None = None
    ms_since_login: int


class CodeDelivered(Event, frozen=True, kw_only=True, tag=True):
    """A receipt says that the message reached the device."""

    cause: str
    channel: str
    provider: str
    masked: str
    country: str | None = None
    ms_since_login: int


class DeliveryFailed(Event, frozen=True, kw_only=True, tag=True):
    """A message did not arrive, or may not have; `next` is what happens now: `email`, `retry` or `none`."""

    cause: str
    channel: str
    provider: str | None = None
    state: str
    reason: str
    next: str
    masked: str | None = None
    country: str | None = None


class LoginRefused(Event, frozen=True, kw_only=True, tag=True):
    """A fed login could not be opened; docs/feeds.md says what each reason means."""

    reference: str
    reason: str


class LoginClosed(Event, frozen=True, kw_only=True, tag=True):
    """A login ended without a session."""

    reason: str


class Verified(Event, frozen=True, kw_only=True, tag=True):
    """A sign-in is complete and its session begins. Signed."""

    issued_at: Instant
    auth_time: Instant
    amr: tuple[str, ...]
    acr: str
    aud: str
    channel: str | None = None
    role: str
    claims: dict[str, Any] = {}
    device: str | None = None
    secret_hash: str
    account_epoch: int
    user_epoch: int


class ExpireAll(Event, frozen=True, kw_only=True, tag=True):
    """Every session of the user or account (`scope`) whose epoch is below `floor` (milliseconds) is over. Signed.

    `erased`: the user is no more, and whoever holds anything of theirs lets it go.
    """

    scope: str
    floor: int
    by: str
    erased: bool = False


class SessionPolicyChanged(Event, frozen=True, kw_only=True, tag=True):
    """From `effective_at` on, sessions of the account last `max_age` seconds. Signed."""

    max_age: int
    effective_at: Instant
    by: str


class SessionRevoked(Event, frozen=True, kw_only=True, tag=True):
    """One session was ended, by its holder or an administrator."""

    by: str


DeliveryOutcome = CodeSent | CodeDelivered | DeliveryFailed
LoginOutcome = LoginRefused | LoginClosed
SessionEvent = Verified | ExpireAll | SessionPolicyChanged | SessionRevoked
SIGNED: Final = (Verified, ExpireAll, SessionPolicyChanged)
SIGNATURE_HEADER: Final = "gatepost-signature"
