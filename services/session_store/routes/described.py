"""The session store's calls as its OpenAPI document tells them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from services.platform.openapi import FORM, Call, Text, document
from services.session_store.forward_auth import CheckQuery
from services.session_store.routes.sessions import Older, Page, Sent
from services.session_store.who import RIGHTS

Effective = Literal["now", "queued"]
TOKEN: Final = Text(
    FORM,
    {
        "type": "object",
        "properties": {"token": {"type": "string", "minLength": 1}, "token_type_hint": {"type": "string"}},
        "required": ["token"],
    },
)
NOT_A_FORM: Final[dict[int, tuple[str, ...]]] = {415: ("form-required",)}
UNKNOWN: Final[dict[int, tuple[str, ...]]] = {503: ("session-unknown", "session-store-unavailable")}


class Introspected(msgspec.Struct, omit_defaults=True):
    """RFC 7662, section 2.2. Where `active` is false there is nothing else."""

    active: bool
    sub: UUID | msgspec.UnsetType = msgspec.UNSET
    account: UUID | msgspec.UnsetType = msgspec.UNSET
    role: str | msgspec.UnsetType = msgspec.UNSET
    claims: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    device: str | msgspec.UnsetType | None = msgspec.UNSET
    jti: UUID | msgspec.UnsetType = msgspec.UNSET
    aud: Literal["apps", "gatepost"] | msgspec.UnsetType = msgspec.UNSET
    iat: int | msgspec.UnsetType = msgspec.UNSET
    exp: int | msgspec.UnsetType = msgspec.UNSET
    auth_time: int | msgspec.UnsetType = msgspec.UNSET
    acr: str | msgspec.UnsetType = msgspec.UNSET
    amr: list[str] | msgspec.UnsetType = msgspec.UNSET
    token_type: Literal["Bearer"] | msgspec.UnsetType = msgspec.UNSET


class Nothing(msgspec.Struct):
    """Whether or not the token was known (RFC 7009, section 2.2)."""


class Row(msgspec.Struct):
    login_id: UUID
    user_id: UUID
    issued_at: datetime
    expires_at: datetime
    device: str | None
    acr: str
    aud: str


class Ages(msgspec.Struct):
    """How many live sessions began within that time."""

    day: int
    week: int
    month: int
    all: int


class Listed(msgspec.Struct):
    """Newest first. `count_by_age` stands in the first page."""

    sessions: Sequence[Row]
    cursor: UUID | None
    count_by_age: Ages | None


class Counted(msgspec.Struct):
    """`capped`: there are more than `count`."""

    count: int
    capped: bool


class Ended(msgspec.Struct):
    """`queued`: this store and its neighbours know; Kafka will hear of it."""

    effective: Effective


class Applied(msgspec.Struct):
    applied: int


class Metadata(msgspec.Struct):
    """RFC 8414."""

    issuer: str
    introspection_endpoint: str
    revocation_endpoint: str
    introspection_endpoint_auth_methods_supported: list[str]
    revocation_endpoint_auth_methods_supported: list[str]
    response_types_supported: list[str]
    grant_types_supported: list[str]
    acr_values_supported: list[str]


WHO: Final = {"X-Gatepost-User": "The user's id", "X-Gatepost-Account": "The account's", "X-Gatepost-Role": "The role"}
CALLS: Final = {
    ("POST", "/v1/introspect"): Call(
        "Whether a token is alive, and whose it is", {200: Introspected}, TOKEN, problems=NOT_A_FORM | UNKNOWN
    ),
    ("POST", "/v1/revoke"): Call("End a session", {200: Nothing}, TOKEN, problems=NOT_A_FORM | UNKNOWN),
    ("GET", "/v1/sessions"): Call("Live sessions of an account or user", {200: Listed}, query=Page, problems=UNKNOWN),
    ("GET", "/v1/sessions/count"): Call(
        "How many live sessions were opened more than `older_than` seconds ago",
        {200: Counted},
        query=Older,
        problems=UNKNOWN,
    ),
    ("DELETE", "/v1/sessions/{login_id}"): Call("End one session", {200: Ended}, problems=UNKNOWN),
    ("POST", "/v1/events"): Call(
        "Events of Gatepost's own services, by the second road", {200: Applied}, Sent, problems={400: ("bad-event",)}
    ),
    ("GET", "/v1/check"): Call(
        "Forward auth: who a proxy has before it",
        {200: None},
        query=CheckQuery,
        headers={
            "Authorization": "`Bearer gp_…`; otherwise the browser's cookie is read",
            "X-Forwarded-Proto": "These three make `Gatepost-Return-To` of a 401",
            "X-Forwarded-Host": "The host that the browser asked",
            "X-Forwarded-Uri": "What it asked for there",
        },
        problems={401: ("not-signed-in",), 403: ("forbidden",), 503: ("session-unknown",)},
        answers_with=WHO,
    ),
    ("GET", "/.well-known/oauth-authorization-server"): Call(
        "Metadata of introspection and revocation", {200: Metadata}
    ),
}
DOCUMENT: Final[dict[str, Any]] = document("Gatepost session store", RIGHTS, CALLS)
