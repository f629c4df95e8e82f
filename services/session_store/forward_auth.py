"""What a proxy asks for each request, whose token came with it, and where the browser wanted to go."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

import msgspec

from services.session_store.memory import Session

ROLES: Final = frozenset({"user", "admin", "operator"})
ACR: Final = "urn:gatepost:acr:"
ACRS: Final = frozenset(f"{ACR}{name}" for name in ("pwd", "pwd+sms", "pwd+email", "fed", "fed+sms", "fed+email"))
HOST: Final = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
URI: Final = re.compile(r"/[\x21-\x7e]{0,2000}")
List = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class CheckQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Of the proxy's configuration. `role` and `acr` may name several with commas: one of them is enough."""

    account: UUID
    role: List | None = None
    acr: List | None = None


class Wanted(NamedTuple):
    """Whom the proxy lets in; None: with any."""

    account: UUID
    roles: frozenset[str] | None
    acrs: frozenset[str] | None


class BadWish(ValueError):
    """The proxy asks for what no session can have; the text says what there is."""


def wanted(asked: CheckQuery) -> Wanted:
    """Raises `BadWish`: a slip of the pen in a configuration must not look like people without rights."""
    roles = _one_of("role", asked.role, ROLES)
    return Wanted(asked.account, roles, _one_of("acr", asked.acr and asked.acr.replace(" ", "+"), ACRS))


def _one_of(name: str, given: str | None, known: frozenset[str]) -> frozenset[str] | None:
    if given is None:
        return None
    named = frozenset(given.split(","))
    if not named <= known:
        raise BadWish(f"{name} is one or more, with commas, of {', '.join(sorted(known))}")
    return named


def refusal(session: Session, wish: Wanted) -> str | None:
    """Why this live session does not open the door; None: it does."""
    if session.account_id != wish.account:
        return "This session belongs to another account."
    if wish.roles is not None and session.role not in wish.roles:
        return "This session has another role."
    if wish.acrs is not None and session.acr not in wish.acrs:
        return "This session was opened another way."
    return None


def token_of(authorization: str, cookies: Iterable[str], name: str) -> str:
    """A `gp_` bearer token, else the cookie `name`; empty where there is neither.

    Another `Authorization` is the application's own. A cookie that comes twice with two values counts as none: a host
    beside this one may set its own over ours, and would sign people in as somebody else.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token.startswith("gp_"):
        return token.strip()
    parts = (part.strip().partition("=") for header in cookies for part in header.split(";"))
    found = {value for given, _, value in parts if given == name}
    return found.pop() if len(found) == 1 else ""


def way_back(headers: Mapping[str, str]) -> str | None:
    """The address that the browser asked for, percent-encoded for a query; None where the proxy did not say it.

    Reads `X-Forwarded-Proto`, `-Host` and `-Uri`. Whether one may return there is the sign-in page's to decide.
    """
    scheme, host, uri = (headers.get(f"X-Forwarded-{name}", "") for name in ("Proto", "Host", "Uri"))
    if scheme not in ("http", "https") or not HOST.fullmatch(host) or not URI.fullmatch(uri):
        return None
    return quote(f"{scheme}://{host}{uri}", safe="")
