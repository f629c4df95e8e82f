"""The events: facts in the past tense (one command: `ExpireAll`), flat JSON with CloudEvents' names.

Instants carry their offset, as RFC 3339. Ids are UUIDs as text. Unknown fields are ignored, new fields have defaults,
and a breaking change is a new type. Numbers and texts are bounded to what they mean, so that whoever stores or compares
one need not look again.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

EXACT: Final = 2**53 - 1  # the largest whole number that every JSON reader keeps exactly; Postgres' bigint holds it too

Instant = Annotated[datetime, Meta(tz=True)]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Word = Annotated[str, Meta(max_length=128)]
Text = Annotated[str, Meta(max_length=512)]
Reference = Annotated[str, Meta(min_length=1, max_length=128)]
Cause = Annotated[str, Meta(min_length=1, max_length=128)]
Sealed = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[A-Za-z0-9_-]+={0,2}$")]
Masked = Annotated[str, Meta(max_length=320)]
Country = Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,3}$")]
Hash16 = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}==$")]
Hash32 = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}=$")]
Version = Annotated[int, Meta(ge=1, le=999)]
KeyId = Annotated[int, Meta(ge=0, le=255)]
Digits = Annotated[int, Meta(ge=6, le=10)]
Seconds = Annotated[int, Meta(ge=1, le=365 * 86_400)]
Milliseconds = Annotated[int, Meta(ge=0, le=EXACT)]
Revision = Annotated[int, Meta(ge=1, le=EXACT)]

Channel = Literal["sms", "email"]
Audience = Literal["apps", "gatepost"]
Role = Literal["user", "admin", "operator"]
FailedState = Literal["failed", "undelivered", "unknown", "expired", "cancelled"]
NextStep = Literal["email", "retry", "none"]
CloseReason = Literal["expired", "too-many-attempts", "sessions-expired", "contact-changed"]
RefuseReason = Literal[
    "unknown-user",
    "account-suspended",
    "foreign-account",
    "second-factor-required",
    "one-of-user-id-and-external-id",
    "bad-context",
    "time-without-zone",
    "authenticated-in-the-future",
    "too-old",
    "sessions-expired",
    "reference-reused",
    "user-changed",
    "too-many-attempts",
    "over-budget",
    "feed-stopped",
]
ExpireScope = Literal["user", "account"]
Notice = Literal["locked", "phone-changed", "email-changed", "signed-in-by-email"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The envelope. `id` is made from what the event says, so that a repetition is recognised."""

    id: Id
    source: Word
    time: Instant
    version: Version = 1
    account_id: Id
    user_id: Id | None = None
    login_id: Id | None = None
    reference: Reference | None = None


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Where a login came from, as far as it may travel: no address, no user agent."""

    locale: Text | None = None
    origin: Text | None = None
    device: Text | None = None


class FedContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform knows of a login that it feeds; address and user agent stay in the gateway."""

    ip: Text | None = None
    user_agent: Text | None = None
    locale: Text | None = None
    origin: Text | None = None
    device_id: Text | None = None


class FedUser(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of the two; never a username."""

    user_id: Id | None = None
    external_id: Reference | None = None


class LoginFed(Event, frozen=True, kw_only=True, tag=True):
    """A platform did the password step and asks for the second one. `reference` is its own id for the login.

    Signed by the feed client that writes it: the header `gatepost-signature` is `<client_id>:<base64url>`.
    """

    reference: Reference
    user: FedUser
    authenticated_at: Instant
    context: FedContext | None = None


class LoginChallenged(Event, frozen=True, kw_only=True, tag=True):
    """A login waits for a code: send it on the first of `channels`, and by e-mail if the SMS fails.

    `sealed` holds the contacts and the salt, bound to login, cause and expiry. `masked` names every channel that has a
    contact, the fallback included.
    """

    cause: Cause
    channels: Annotated[tuple[Channel, ...], Meta(min_length=1, max_length=2)]
    sealed: Sealed
    masked: dict[Channel, Masked]
    country: Country | None = None
    code_key_id: KeyId
    digits: Digits
    issued_at: Instant
    expires_at: Instant
    account_epoch: Milliseconds
    user_epoch: Milliseconds
    context: Context = Context()


class NoticeRequested(Event, frozen=True, kw_only=True, tag=True):
    """A user is to be told something about their sign-in, by one message to one contact. It holds no code.

    `login_id` names the notice as if it were a login of its own, so that its timeline can be read. `sealed` holds the
    contact, bound to that id, the cause (`notice:` and what it says) and the expiry.
    """

    notice: Notice
    cause: Cause
    channel: Channel
    sealed: Sealed
    masked: Masked
    country: Country | None = None
    locale: Text | None = None
    issued_at: Instant
    expires_at: Instant


class EmailFallbackRequested(Event, frozen=True, kw_only=True, tag=True):
    """An SMS did not arrive, for `reason`: the code is due by e-mail."""

    cause: Cause
    reason: Word
    sealed: Sealed
    masked: Masked
    code_key_id: KeyId
    digits: Digits
    issued_at: Instant
    expires_at: Instant


class CodeSent(Event, frozen=True, kw_only=True, tag=True):
    """A provider took the message. `ms_since_login` is in milliseconds."""

    cause: Cause
    channel: Channel
    provider: Word
    masked: Masked
    country: Country | None = None
    ms_since_login: Milliseconds


class CodeDelivered(Event, frozen=True, kw_only=True, tag=True):
    """A receipt says that the message reached the device."""

    cause: Cause
    channel: Channel
    provider: Word
    masked: Masked
    country: Country | None = None
    ms_since_login: Milliseconds


class DeliveryFailed(Event, frozen=True, kw_only=True, tag=True):
    """A message did not arrive, or may not have; `next` is what happens now."""

    cause: Cause
    channel: Channel
    provider: Word | None = None
    state: FailedState
    reason: Word
    next: NextStep
    masked: Masked | None = None
    country: Country | None = None


class LoginRefused(Event, frozen=True, kw_only=True, tag=True):
    """A fed login could not be opened; docs/feeds.md says what each reason means."""

    reference: Reference
    reason: RefuseReason


class LoginClosed(Event, frozen=True, kw_only=True, tag=True):
    """A login ended without a session."""

    reason: CloseReason


class Verified(Event, frozen=True, kw_only=True, tag=True):
    """A sign-in is complete and its session begins; for every sign-in, with or without a second factor. Signed.

    `secret_hash` is base64url of the first 16 bytes of the SHA-256 of the token's secret; epochs are in milliseconds.
    """

    issued_at: Instant
    auth_time: Instant
    amr: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=8)]
    acr: Word
    aud: Audience
    channel: Channel | None = None
    role: Role
    claims: dict[str, Any] = {}
    device: Text | None = None
    secret_hash: Hash16
    account_epoch: Milliseconds
    user_epoch: Milliseconds


class ExpireAll(Event, frozen=True, kw_only=True, tag=True):
    """Every session of the user or account whose epoch is below `floor` (milliseconds) is over. Signed.

    `erased`: the user is no more, and whoever holds anything of theirs lets it go.
    """

    scope: ExpireScope
    floor: Milliseconds
    by: Word
    erased: bool = False

    @property
    def whose(self) -> str | None:
        """The id of the user or account that the scope names."""
        return self.user_id if self.scope == "user" else self.account_id


class SessionPolicyChanged(Event, frozen=True, kw_only=True, tag=True):
    """From `effective_at` on, sessions of the account last `max_age` seconds. Signed."""

    max_age: Seconds
    effective_at: Instant
    by: Word


class SessionRevoked(Event, frozen=True, kw_only=True, tag=True):
    """One session was ended, by its holder or an administrator."""

    by: Word


class ClientChanged(Event, frozen=True, kw_only=True, tag=True):
    """A client as it is from `revision` on; the revision only rises. `account_id` is an account's id or `*`. Signed.

    `secret_hash` is base64url of the SHA-256 of the client's secret.
    """

    client_id: Id
    secret_hash: Hash32
    account: Id
    scopes: Annotated[tuple[Word, ...], Meta(max_length=32)]
    enabled: bool
    revision: Revision


AnyEvent = (
    LoginFed
    | LoginChallenged
    | NoticeRequested
    | EmailFallbackRequested
    | CodeSent
    | CodeDelivered
    | DeliveryFailed
    | LoginRefused
    | LoginClosed
    | Verified
    | ExpireAll
    | SessionPolicyChanged
    | SessionRevoked
    | ClientChanged
)
EVENTS: tuple[type[Event], ...] = AnyEvent.__args__
