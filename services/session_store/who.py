"""The who table of the session store (DESIGN 2.8)."""

from typing import Final

from aiohttp import web

from services.platform.auth import EVERY, Client, Right, Who, allow, authenticate, foreign, right
from services.platform.http import Problem

PUBLIC: Final = None
EVERYBODY: Final = ("user", "admin", "operator")  # a user sees and ends their own sessions
RIGHTS: Final[dict[tuple[str, str], Right | None]] = {
    ("POST", "/v1/introspect"): right("introspect", "internal", roles=EVERYBODY),
    ("POST", "/v1/revoke"): right("introspect", "accounts:write", roles=EVERYBODY),
    ("GET", "/v1/sessions"): right("accounts:write", "operate", roles=("admin", "operator")),
    ("DELETE", "/v1/sessions/{login_id}"): right("accounts:write", roles=("admin",)),
    ("POST", "/v1/events"): right("internal"),
    ("GET", "/v1/check"): PUBLIC,
    ("GET", "/.well-known/oauth-authorization-server"): PUBLIC,
}


async def caller(request: web.Request) -> Who:
    """Who calls, if they may make this call at all."""
    resource = request.match_info.route.resource
    needed = RIGHTS.get((request.method, resource.canonical if resource is not None else ""))
    if needed is None:
        raise Problem(403, "forbidden", "This call is not in the who table.")
    who = await authenticate(request)
    allow(who, needed)
    return who


def account_of(who: Who) -> str:
    """The account that the caller sees; `*` for all."""
    if isinstance(who, Client):
        return who.account
    return EVERY if who.role == "operator" else who.account_id


def in_account(who: Who, account_id: object) -> None:
    """Raises 404 for another account."""
    if account_of(who) not in (EVERY, str(account_id)):
        raise foreign()
