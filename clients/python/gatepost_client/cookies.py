"""The browser's session cookie, and which token a request carries."""

from collections.abc import Iterable
from typing import Final

HOST: Final = "__Host-gatepost"
DOMAIN: Final = "__Secure-gatepost"


def session_cookie(*, shared: bool) -> str:
    """The cookie whose value is the `gp_…` token. `shared`: Gatepost runs with GATEPOST_COOKIE_DOMAIN.

    Never read both: where hosts share nothing, any host of the domain could set the shared one and sign people in as
    somebody else.
    """
    return DOMAIN if shared else HOST


def token_of(authorization: str, cookies: Iterable[str], name: str | None) -> str:
    """A `gp_` bearer token, else the cookie `name` of the `Cookie` headers; empty where there is neither.

    Another `Authorization` is the application's own. A cookie that comes with two values counts as none.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token.strip().startswith("gp_"):
        return token.strip()
    parts = (part.strip().partition("=") for header in cookies for part in header.split(";"))
    found = {value for given, _, value in parts if given == name}
    return found.pop() if len(found) == 1 else ""
