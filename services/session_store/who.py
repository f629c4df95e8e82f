"""The who table of the session store."""

from typing import Final

from aiohttp import web

from services.platform import auth
from services.platform.auth import Right, Who, right

PUBLIC: Final = None
EVERYBODY: Final = ("user", "admin", "operator")  # a user sees and ends their own sessions
RIGHTS: Final[dict[tuple[str, str], Right | None]] = {
    ("POST", "/v1/introspect"): right("introspect", "internal", roles=EVERYBODY),
    ("POST", "/v1/revoke"): right("introspect", "accounts:write", "internal", roles=EVERYBODY),
    ("GET", "/v1/sessions"): right("accounts:write", "operate", roles=("admin", "operator")),
    ("GET", "/v1/sessions/count"): right("accounts:write", "operate", roles=("admin", "operator")),
    ("DELETE", "/v1/sessions/{login_id}"): right("accounts:write", roles=("admin",)),
    ("POST", "/v1/events"): right("internal"),
    ("GET", "/v1/check"): PUBLIC,
    ("GET", "/.well-known/oauth-authorization-server"): PUBLIC,
}


async def caller(request: web.Request) -> Who:
    """Who calls, if they may make this call at all; which account is asked afterwards, by `in_account`."""
    return await auth.caller(request, RIGHTS)
