"""The who table: every call of the gateway, and who may make it. A call that is not here is refused.

`PUBLIC` calls prove themselves otherwise: by a password, or by the handle of a login.
"""

from typing import Final

from aiohttp import web

from services.platform import auth
from services.platform.auth import EVERY, Client, Right, Who, allow, right
from services.platform.scopes import SCOPES

ACCOUNT: Final = "/v1/accounts/{account}"
USERS: Final = f"{ACCOUNT}/users"
USER: Final = f"{USERS}/{{user}}"
BRAND: Final = f"{ACCOUNT}/brand"
CLIENT: Final = "/v1/clients/{client_id}"

COMMAND_LINE: Final = Client("command-line", EVERY, SCOPES)  # no client has this id: theirs begin with cl_
PUBLIC: Final = None
_SEES: Final = right("accounts:write", "operate", roles=("admin", "operator"))
_EDITS: Final = right("accounts:write", roles=("admin",))
_SENSITIVE: Final = right("accounts:write", roles=("admin",), fresh=True)
_FEEDS: Final = right("feed")

RIGHTS: Final[dict[tuple[str, str], Right | None]] = {
    ("POST", "/v1/logins"): PUBLIC,
    ("GET", "/v1/logins/{login}"): PUBLIC,
    ("GET", "/v1/logins/{login}/events"): PUBLIC,
    ("POST", "/v1/logins/{login}/verify"): PUBLIC,
    ("POST", "/v1/logins/{login}/resend"): PUBLIC,
    ("POST", "/v1/feed/logins"): _FEEDS,
    ("GET", "/v1/feed/logins/{reference}"): _FEEDS,
    ("POST", "/v1/feed/logins/{reference}/verify"): _FEEDS,
    ("POST", "/v1/feed/logins/{reference}/resend"): _FEEDS,
    ("GET", "/v1/accounts"): _SEES,
    ("POST", "/v1/accounts"): right("accounts:write", installation=True),
    ("GET", ACCOUNT): _SEES,
    ("PATCH", ACCOUNT): _EDITS,
    ("GET", BRAND): _SEES,
    ("PUT", BRAND): _EDITS,
    ("POST", f"{ACCOUNT}/expire-sessions"): _SENSITIVE,
    ("GET", USERS): _EDITS,
    ("POST", USERS): _SENSITIVE,
    ("POST", f"{ACCOUNT}/imports"): _SENSITIVE,
    ("PUT", f"{USERS}/external/{{external_id}}"): _SENSITIVE,
    ("GET", USER): _EDITS,
    ("PATCH", USER): _EDITS,  # all but name and locale needs a fresh sign-in too: `fresh`
    ("DELETE", USER): _SENSITIVE,
    ("POST", f"{USER}/expire-sessions"): _EDITS,
    ("POST", f"{USER}/password"): _SENSITIVE,
    ("POST", f"{USER}/unlock"): _SENSITIVE,
    ("GET", "/v1/clients"): _EDITS,
    ("POST", "/v1/clients"): _SENSITIVE,
    ("GET", CLIENT): _EDITS,
    ("PATCH", CLIENT): _SENSITIVE,
}


async def caller(request: web.Request) -> Who:
    """Who calls, if they may make this call at all; which account is asked afterwards, by `in_account`."""
    return await auth.caller(request, RIGHTS)


def fresh(who: Who) -> None:
    """Ask a user for a sign-in younger than 15 minutes; clients are exempt."""
    if not isinstance(who, Client):
        allow(who, _SENSITIVE)


def may_grant_operator(who: Who) -> bool:
    """The role `operator`, account `*` and scope `operate` come only from a client that has the last two."""
    return isinstance(who, Client) and who.account == EVERY and "operate" in who.scopes
