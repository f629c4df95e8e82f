"""Who calls: a client by HTTP Basic (RFC 7617) or a user by a `gp_…` bearer token (RFC 6750); and what each may do."""

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from aiohttp import web

from services.platform.http import Problem
from services.platform.scopes import Scope

EVERY: Final = "*"
FRESH: Final = timedelta(minutes=15)


class Client(NamedTuple):
    """A program. `account` is an account's id, or `*` for all of them."""

    client_id: str
    account: str
    scopes: frozenset[str]

    @property
    def name(self) -> str:
        return f"client:{self.client_id}"


class User(NamedTuple):
    """A person who signed in to Gatepost itself (audience `gatepost`)."""

    user_id: str
    account_id: str
    role: str
    auth_time: datetime

    @property
    def name(self) -> str:
        return f"user:{self.user_id}"


Who = Client | User
CheckClient = Callable[[str, str], Awaitable[Client | None]]
Introspect = Callable[[str], Awaitable[User | None]]

CHECK_CLIENT: Final[web.AppKey[CheckClient]] = web.AppKey("check_client")
INTROSPECT: Final[web.AppKey[Introspect]] = web.AppKey("introspect")


class Right(NamedTuple):
    """A row of the who table: which client scopes and which user roles may make a call.

    `installation` calls touch no single account: a client needs account `*`. `fresh` asks users for a sign-in younger
    than 15 minutes.
    """

    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    installation: bool = False
    fresh: bool = False


Rights = Mapping[tuple[str, str], Right | None]
"""A who table: (method, path pattern) to its row; None is a public call, which never asks who calls."""


def right(*scopes: Scope, roles: tuple[str, ...] = (), installation: bool = False, fresh: bool = False) -> Right:
    return Right(frozenset(scopes), frozenset(roles), installation, fresh)


def hash_secret(secret: str) -> bytes:
    """All that is kept of a client's secret: it has 256 random bits, so SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).digest()


def same_secret(secret: str, stored: bytes) -> bool:
    return hmac.compare_digest(hash_secret(secret), stored)


async def authenticate(request: web.Request) -> Who:
    """Read `Authorization` (never a cookie). Raises 401 `unauthenticated`."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    match scheme.lower():
        case "basic":
            return await _client(request, value.strip())
        case "bearer":
            return await _user(request, value.strip())
        case _:
            raise _unauthenticated("Send client credentials (HTTP Basic) or a gp_ token (Bearer).")


async def _client(request: web.Request, value: str) -> Client:
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise _unauthenticated("The Basic credentials are not base64.") from None
    client = await request.app[CHECK_CLIENT](client_id, secret)
    if client is None:
        raise _unauthenticated("Unknown client, wrong secret, or the client is disabled.")
    return client


async def _user(request: web.Request, token: str) -> User:
    known = INTROSPECT in request.app and token.isascii()
    user = await request.app[INTROSPECT](token) if known else None
    if user is None:
        raise _unauthenticated("This token is not active here; sign in with audience gatepost.")
    return user


def _unauthenticated(detail: str) -> Problem:
    challenge = 'Basic realm="gatepost", charset="UTF-8"'
    return Problem(401, "unauthenticated", detail, {"WWW-Authenticate": challenge})


def allow(who: Who, needed: Right, account_id: str | None = None, now: datetime | None = None) -> None:
    """Whether `who` may do this to that account; raises 403 `forbidden`, 404 for a foreign account, 401 when stale."""
    if isinstance(who, Client):
        _allow_client(who, needed)
    elif who.role not in needed.roles:
        raise Problem(403, "forbidden", "Your role does not allow this.")
    if account_id is not None:
        in_account(who, account_id)
    if isinstance(who, User) and needed.fresh and (now or datetime.now(UTC)) - who.auth_time > FRESH:
        raise Problem(401, "fresh-sign-in-required", "Sign in again: this needs a sign-in younger than 15 minutes.")


def _allow_client(who: Client, needed: Right) -> None:
    if not needed.scopes & who.scopes:
        wanted = " or ".join(sorted(needed.scopes)) or "no client"
        raise Problem(403, "forbidden", f"This call needs the scope {wanted}.")
    if needed.installation and who.account != EVERY:
        raise Problem(403, "forbidden", "This call concerns the whole installation: it needs a client of account *.")


async def caller(request: web.Request, rights: Rights, account_id: str | None = None) -> Who:
    """Who calls, if the who table lets them make this call (to that account); every service's one way in."""
    who = await authenticate(request)
    resource = request.match_info.route.resource
    needed = rights.get((request.method, resource.canonical if resource is not None else ""))
    if needed is None:
        raise Problem(403, "forbidden", "This call is not in the who table.")
    allow(who, needed, account_id)
    return who


def own_account(who: Who) -> str | None:
    """The one account that the caller sees; None for all of them."""
    if isinstance(who, Client):
        return None if who.account == EVERY else who.account
    return None if who.role == "operator" else who.account_id


def in_account(who: Who, account_id: object) -> None:
    """Raises 404 for an account that is not the caller's, as if it did not exist."""
    if own_account(who) not in (None, str(account_id)):
        raise foreign()


def foreign() -> Problem:
    return Problem(404, "not-found", "There is no such account.")
