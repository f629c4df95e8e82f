"""The gateway's calls as its OpenAPI document tells them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from services.login_gateway import imports
from services.login_gateway.accounts import AccountView, EditAccount, NewAccount
from services.login_gateway.brands import Brand
from services.login_gateway.clients import ClientView, EditClient, NewClient
from services.login_gateway.erasing import Remains
from services.login_gateway.feed import FeedBody
from services.login_gateway.password_step import LoginBody
from services.login_gateway.routes import accounts, clients, users
from services.login_gateway.routes.logins import HEADER, ResendBody
from services.login_gateway.routes.sessions import Confirmed
from services.login_gateway.status import State
from services.login_gateway.user_rows import UserView
from services.login_gateway.users import EditUser, NewPassword, NewUser
from services.login_gateway.verify import VerifyBody
from services.login_gateway.who import ACCOUNT, BRAND, CLIENT, RIGHTS, USER, USERS
from services.platform.openapi import EVENTS, NDJSON, Call, Text, document, lines_of

Effective = Literal["now", "queued"]
Handle = Annotated[str, msgspec.Meta(pattern="^lg_")]


class SignedIn(msgspec.Struct):
    """`token` is the session's; `acr` and `amr` say what was proved."""

    status: Literal["signed_in"]
    token: Annotated[str, msgspec.Meta(pattern="^gp_")]
    token_type: Literal["Bearer"]
    login_id: UUID
    expires_at: datetime
    acr: str
    amr: Sequence[str]


class Latest(msgspec.Struct):
    """The newest word about the code; the recipient is masked."""

    state: State
    channel: str | None
    to: str | None
    reason: str | None


class Send(msgspec.Struct, omit_defaults=True):
    """The newest word about one channel."""

    channel: str
    state: State
    at: datetime
    cause: str | UnsetType = UNSET
    to: str | UnsetType | None = UNSET
    reason: str | UnsetType | None = UNSET
    next: str | UnsetType | None = UNSET


class Login(msgspec.Struct):
    """`reason` is set once it is closed. `resend_at`: from when on the code may be sent again; null: no more."""

    status: Literal["code_required", "signed_in", "closed"]
    reason: str | None
    login: Handle
    login_id: UUID
    delivery: Latest
    sends: Sequence[Send]
    expires_at: datetime
    resend_at: datetime | None
    attempts_left: int


class FedAnswer(msgspec.Struct, omit_defaults=True):
    """A `Login` or `SignedIn` with its reference; or `refused`, and why."""

    reference: str
    status: Literal["code_required", "signed_in", "closed", "refused"]
    reason: str | UnsetType | None = UNSET


class FedAnswers(msgspec.Struct):
    """One for each item, in order."""

    logins: Sequence[FedAnswer]


class Accounts(msgspec.Struct):
    accounts: Sequence[AccountView]
    cursor: str | None


class Users(msgspec.Struct):
    """Contacts stand masked."""

    users: Sequence[UserView]
    cursor: str | None


class Clients(msgspec.Struct):
    clients: Sequence[ClientView]
    cursor: str | None


class Expired(msgspec.Struct):
    """`queued`: it is written and will be heard of; `now`: it was."""

    effective: Effective


class Deleted(msgspec.Struct):
    """`remains`: what is left of the user, for how many days, and why."""

    deleted: bool
    effective: Effective
    remains: list[Remains]


REPEATS: Final = {"Idempotency-Key": "22 to 64 characters; the same again gives the same answer again"}
LOGIN: Final = {HEADER: "The handle, where the path should not hold it: write `-` there"}
MATCHES: Final = {"If-Match": "The ETag that was read; another one by now is 412"}
BUDGET: Final = {
    "RateLimit-Policy": "How many logins the account may feed in how many seconds",
    "RateLimit": "How many of them are left, in the next seconds",
}
TAG: Final = {"ETag": "For If-Match"}
STORE: Final = {503: ("session-store-unavailable",)}
WRONG: Final[dict[int, tuple[str, ...]]] = {
    401: ("wrong-code",),
    410: ("login-closed",),
    429: ("too-many-attempts",),
    503: ("code-key-unavailable",),
}
SENDS: Final[dict[int, tuple[str, ...]]] = {
    409: ("channel-not-allowed", "user-changed"),
    410: ("login-closed",),
    429: ("resend-too-soon", "too-many-attempts"),
}
FIELDS: Final = (
    "bad-username",
    "bad-external-id",
    "bad-name",
    "bad-phone",
    "bad-email",
    "bad-locale",
    "bad-claims",
    "claims-too-large",
    "bad-password",
    "bad-password-hash",
    "sms-needs-phone",
    "email-needs-address",
    "second-factor-required",
    "integration-role",
)
WRITES: Final[dict[int, tuple[str, ...]]] = {
    403: ("grants-too-much",),
    409: ("username-taken", "external-id-taken"),
    422: FIELDS,
    503: ("busy", "session-store-unavailable"),
}
LINE: Final = Text(NDJSON, {"type": "string", "description": "One user a line, as POST takes one"})
RESULTS: Final = Text(NDJSON, lines_of(imports.Result))
FEED: Final = "/v1/feed/logins"
ONE: Final = "/v1/logins/{login}"

CALLS: Final = {
    ("POST", "/v1/logins"): Call(
        "Sign in: the password, and a code on its way",
        {200: SignedIn, 202: Login},
        LoginBody,
        headers=REPEATS,
        problems={
            401: ("invalid-credentials", "unauthenticated"),
            409: ("login-under-way", "user-changed"),
            422: ("idempotency-key-reused",),
            429: ("too-many-attempts",),
            503: ("busy", "code-key-unavailable", "session-store-unavailable"),
        },
    ),
    ("GET", ONE): Call("What became of a login and its messages", {200: Login}, headers=LOGIN),
    ("GET", f"{ONE}/events"): Call("The same as it happens, until the login ends", {200: Text(EVENTS)}, headers=LOGIN),
    ("POST", f"{ONE}/verify"): Call(
        "The code: opens the session", {200: SignedIn}, VerifyBody, headers=LOGIN | REPEATS, problems=WRONG
    ),
    ("POST", f"{ONE}/resend"): Call(
        "Send the code again", {202: Login}, ResendBody, headers=LOGIN, problems=SENDS, may_be_empty=True
    ),
    ("POST", FEED): Call(
        "Up to 500 logins whose password step a platform did",
        {200: FedAnswers},
        FeedBody,
        problems={403: ("feed-stopped",), 429: ("feed-budget-spent",), 503: ("busy", "session-store-unavailable")},
        answers_with=BUDGET,
    ),
    ("GET", f"{FEED}/{{reference}}"): Call("What became of a fed login", {200: Login}, problems=STORE),
    ("POST", f"{FEED}/{{reference}}/verify"): Call(
        "The code of a fed login", {200: SignedIn}, VerifyBody, headers=REPEATS, problems=WRONG
    ),
    ("POST", f"{FEED}/{{reference}}/resend"): Call(
        "Send a fed login's code again", {202: Login}, ResendBody, problems=SENDS, may_be_empty=True
    ),
    ("GET", "/v1/accounts"): Call(
        "The accounts that the caller sees", {200: Accounts}, query=accounts.Page, problems=STORE
    ),
    ("POST", "/v1/accounts"): Call(
        "Make an account",
        {201: AccountView},
        NewAccount,
        problems={409: ("account-name-taken",), 422: ("bad-name", "setting-out-of-range")} | STORE,
    ),
    ("GET", ACCOUNT): Call("An account and its settings", {200: AccountView}, problems=STORE),
    ("PATCH", ACCOUNT): Call(
        "Change name, state or settings",
        {200: AccountView},
        EditAccount,
        problems={
            401: ("fresh-sign-in-required",),
            409: ("account-name-taken",),
            422: ("bad-name", "setting-out-of-range"),
        }
        | STORE,
    ),
    ("GET", BRAND): Call("What the sign-in pages look like", {200: Brand}, problems=STORE),
    ("PUT", BRAND): Call("Replace all of it", {200: Brand}, Brand, problems={422: ("bad-brand",)} | STORE),
    ("POST", f"{ACCOUNT}/expire-sessions"): Call(
        "Clear all login sessions of the account", {200: Expired}, Confirmed, problems={400: ("not-confirmed",)} | STORE
    ),
    ("GET", USERS): Call("Users of the account", {200: Users}, query=users.Search, problems=STORE),
    ("POST", USERS): Call("Make a user", {201: UserView}, NewUser, problems=WRITES, answers_with=TAG),
    ("POST", f"{ACCOUNT}/imports"): Call(
        "Make or replace users, one a line",
        {200: RESULTS},
        LINE,
        problems={415: ("ndjson-required",)} | STORE,
        may_be_empty=True,
    ),
    ("PUT", f"{USERS}/external/{{external_id}}"): Call(
        "Make or replace the user of your own id",
        {200: UserView, 201: UserView},
        NewUser,
        problems=WRITES,
        answers_with=TAG,
    ),
    ("GET", USER): Call("One user", {200: UserView}, problems=STORE, answers_with=TAG),
    ("PATCH", USER): Call(
        "Change what is sent",
        {200: UserView},
        EditUser,
        headers=MATCHES,
        problems=WRITES | {401: ("fresh-sign-in-required",), 412: ("precondition-failed",)},
        answers_with=TAG,
    ),
    ("DELETE", USER): Call("Erase a user and end their sessions", {200: Deleted}, problems=STORE),
    ("POST", f"{USER}/expire-sessions"): Call("End one user's sessions", {200: Expired}, problems=STORE),
    ("POST", f"{USER}/password"): Call(
        "Set a password",
        {200: UserView},
        NewPassword,
        problems={422: ("bad-password", "bad-password-hash"), 503: ("busy", "session-store-unavailable")},
        answers_with=TAG,
    ),
    ("POST", f"{USER}/unlock"): Call(
        "Forget wrong codes and passwords", {200: UserView}, problems=STORE, answers_with=TAG
    ),
    ("GET", "/v1/clients"): Call(
        "The clients that the caller sees", {200: Clients}, query=clients.Page, problems=STORE
    ),
    ("POST", "/v1/clients"): Call(
        "Make a client; its secret is shown once",
        {201: ClientView},
        NewClient,
        problems={403: ("grants-too-much",), 422: ("account-needed", "bad-name", "bad-scopes")} | STORE,
    ),
    ("GET", CLIENT): Call("One client", {200: ClientView}, problems=STORE),
    ("PATCH", CLIENT): Call(
        "Change name, scopes, or whether it is enabled",
        {200: ClientView},
        EditClient,
        problems={403: ("grants-too-much",), 422: ("bad-name", "bad-scopes")} | STORE,
    ),
}
DOCUMENT: Final[dict[str, Any]] = document("Gatepost login gateway", RIGHTS, CALLS)
