"""The events: facts in the past tense (one command: `ExpireAll`), flat JSON with CloudEvents' names.

Instants are aware UTC, as RFC 3339. Ids are UUIDs as text. Unknown fields are ignored, new fields have defaults,
and a breaking change is a new type.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

Channel = Literal["sms", "email"]
Audience = Literal["apps", "gatepost"]
Role = Literal["user", "admin", "operator"]
FailedState = Literal["failed", "undelivered", "unknown", "expired", "cancelled"]
NextStep = Literal["email", "retry", "none"]
CloseReason = Literal["expired", "too-many-attempts", "sessions-expired", "contact-changed"]
ExpireScope = Literal["user", "account"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The envelope. `id` is made from what the event says, so that a repetition is recognised."""

    id: str
    source: str
    time: datetime
    version: int = 1
    account_id: str
    user_id: str | None = None
    login_id: str | None = None
    reference: str | None = None


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Where a login came from, as far as it may travel: no address, no user agent."""

    locale: str | None = None
    origin: str | None = None
    device: str | None = None


class FedContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform knows of a login that it feeds; address and user agent stay in the gateway."""

    ip: str | None = None
    user_agent: str | None = None
    locale: str | None = None
    origin: str | None = None
    device_id: str | None = None


class FedUser(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of the two; never a username."""

    user_id: str | None = None
    external_id: str | None = None


class LoginFed(Event, frozen=True, kw_only=True, tag=True):
    """A platform did the password step and asks for the second one. `reference` is its own id for the login."""

    reference: str
    user: FedUser
    authenticated_at: datetime
    context: FedContext | None = None


class LoginChallenged(Event, frozen=True, kw_only=True, tag=True):
    """A login waits for a code: send it on the first of `channels`, and by e-mail if the SMS fails.

    `sealed` holds the contacts and the salt, bound to login, cause and expiry. `masked` names every channel that has a
    contact, the fallback included.
    """

    cause: str
    channels: tuple[Channel, ...]
    sealed: str
    masked: dict[Channel, str]
    country: str | None = None
    code_key_id: int
    digits: int
    issued_at: datetime
    expires_at: datetime
    account_epoch: int
    user_epoch: int
    context: Context = Context()


class EmailFallbackRequested(Event, frozen=True, kw_only=True, tag=True):
    """An SMS did not arrive, for `reason`: the code is due by e-mail."""

    cause: str
    reason: str
    sealed: str
    masked: str
    code_key_id: int
    digits: int
    issued_at: datetime
    expires_at: datetime


class CodeSent(Event, frozen=True, kw_only=True, tag=True):
    """A provider took the message. `ms_since_login` is in milliseconds."""

    cause: str
    channel: Channel
    provider: str
    masked: str
    country: str | None = None
    ms_since_login: int


class CodeDelivered(Event, frozen=True, kw_only=True, tag=True):
    """A receipt says that the message reached the device."""

    cause: str
    channel: Channel
    provider: str
    masked: str
    country: str | None = None
    ms_since_login: int


class DeliveryFailed(Event, frozen=True, kw_only=True, tag=True):
    """A message did not arrive, or may not have; `next` is what happens now."""

    cause: str
    channel: Channel
    provider: str | None = None
    state: FailedState
    reason: str
    next: NextStep
    masked: str | None = None
    country: str | None = None


class LoginRefused(Event, frozen=True, kw_only=True, tag=True):
    """A fed login could not be opened."""

    reference: str
    reason: str


class LoginClosed(Event, frozen=True, kw_only=True, tag=True):
    """A login ended without a session."""

    reason: CloseReason


class Verified(Event, frozen=True, kw_only=True, tag=True):
    """A sign-in is complete and its session begins; for every sign-in, with or without a second factor. Signed.

    `secret_hash` is base64url of the first 16 bytes of the SHA-256 of the token's secret; epochs are in milliseconds.
    """

    issued_at: datetime
    auth_time: datetime
    amr: tuple[str, ...]
    acr: str
    aud: Audience
    channel: Channel | None = None
    role: Role
    claims: dict[str, Any] = {}
    device: str | None = None
    secret_hash: str
    account_epoch: int
    user_epoch: int


class ExpireAll(Event, frozen=True, kw_only=True, tag=True):
    """Every session of the user or account whose epoch is below `floor` (milliseconds) is over. Signed."""

    scope: ExpireScope
    floor: int
    by: str

    @property
    def whose(self) -> str | None:
        """The id of the user or account that the scope names."""
        return self.user_id if self.scope == "user" else self.account_id


class SessionPolicyChanged(Event, frozen=True, kw_only=True, tag=True):
    """From `effective_at` on, sessions of the account last `max_age` seconds. Signed."""

    max_age: int
    effective_at: datetime
    by: str


class SessionRevoked(Event, frozen=True, kw_only=True, tag=True):
    """One session was ended, by its holder or an administrator."""

    by: str


class ClientChanged(Event, frozen=True, kw_only=True, tag=True):
    """A client as it is from `revision` on; the revision only rises. `account_id` is an account's id or `*`. Signed.

    `secret_hash` is base64url of the SHA-256 of the client's secret.
    """

    client_id: str
    secret_hash: str
    account: str
    scopes: tuple[str, ...]
    enabled: bool
    revision: int


AnyEvent = (
    LoginFed
    | LoginChallenged
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
