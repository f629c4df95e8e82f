"""What Gatepost answers, as structs. Unknown fields are ignored; no `repr` shows a token or a handle."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Channel = Literal["sms", "email"]
Status = Literal["code_required", "signed_in", "closed"]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Where the code is: `state` is queued, sending, sent, delivered, failed, or none where no code was needed. `to` is
    masked. A newer Gatepost may have other words here.
    """

    state: str
    channel: str | None = None
    to: str | None = None
    reason: str | None = None


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A login and what its client can do next. `login` is the handle `lg_…`: keep it where only the person's own
    browser session reaches it. `reason` says why a closed one is closed; `resend_at` None: all sends are used.
    """

    status: Status
    login: str
    login_id: str
    delivery: Delivery
    expires_at: datetime
    attempts_left: int
    resend_at: datetime | None = None
    reason: str | None = None

    @property
    def over(self) -> bool:
        return self.status != "code_required"

    def __repr__(self) -> str:
        return f"Login({self.login_id}, {self.status}, {self.delivery})"


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session begins. `token` is the `gp_…` bearer token."""

    token: str
    login_id: str
    expires_at: datetime
    acr: str
    amr: tuple[str, ...]

    def __repr__(self) -> str:
        return f"SignedIn({self.login_id}, {self.acr}, until {self.expires_at:%Y-%m-%d})"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A live session (RFC 7662, section 2.2); times are seconds since 1970. `jti` is the login_id that opened it."""

    sub: str
    account: str
    role: str
    acr: str
    jti: str
    iat: int
    exp: int
    auth_time: int
    amr: tuple[str, ...] = ()
    aud: str = "apps"
    claims: dict[str, Any] = {}
    device: str | None = None


class Context(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where a sign-in happens. `ip` counts only from an authenticated client; it and `user_agent` go no further."""

    ip: str | None = None
    user_agent: str | None = None
    locale: str | None = None
    origin: str | None = None
    device_id: str | None = None


class FedUser(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Exactly one of the two; never a username."""

    user_id: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    external_id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


class FedLogin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A login whose password step you did, at `authenticated_at` (with its offset). `reference` is your own id for it,
    the idempotency key: unique for 48 h, no e-mail address, no phone number.
    """

    reference: str
    user: FedUser
    authenticated_at: datetime
    context: Context | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A fed login that was not opened, for `reason` (docs/feeds.md: `too-old`, `unknown-user`, …). `detail` is there
    where it was not even sent.
    """

    reference: str
    reason: str
    detail: str = ""


class Fed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one fed login. `SignedIn`: its user has no second factor."""

    reference: str
    outcome: SignedIn | Login | Refused


def login_or_signed_in(data: dict[str, Any]) -> Login | SignedIn:
    """Raises `msgspec.ValidationError`."""
    return msgspec.convert(data, SignedIn) if "token" in data else msgspec.convert(data, Login)


def fed(data: dict[str, Any]) -> Fed:
    """One item of a feed's answer. Raises `msgspec.ValidationError`."""
    refused = data.get("status") == "refused"
    outcome = msgspec.convert(data, Refused) if refused else login_or_signed_in(data)
    return Fed(reference=data["reference"], outcome=outcome)
