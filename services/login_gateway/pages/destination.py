"""Where a sign-in may end: a path of this host, or an origin that the settings list. Nothing else (CWE-601)."""

import re
from collections.abc import Collection
from typing import Final, Literal, NamedTuple

from yarl import URL

from services.platform.cookies import LONGEST_WAY_BACK
from services.platform.http import Problem

DONE: Final = "/login/done"
# Browsers drop some of these, or read a backslash as a slash: what we checked would not be where they go.
NEVER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029]")
CONSOLES: Final = ("/account", "/operations")


class Destination(NamedTuple):
    """`asked` is what was asked for; `origin` is empty for this host's own; consoles want a session of their own."""

    asked: str
    address: str
    origin: str
    audience: Literal["apps", "gatepost"]


def destination(asked: str, own: str, origins: Collection[str]) -> Destination:
    """Raises 400 `return-to-not-allowed`. `own` is this service's public URL."""
    if not asked:
        return Destination("", DONE, "", "apps")
    url = _url(asked)
    home = URL(own)
    if not url.absolute:
        return Destination(asked, str(url), "", _audience(url))
    origin = str(url.origin())
    if origin != str(home.origin()) and origin not in {str(URL(each).origin()) for each in origins}:
        raise _refused()
    return Destination(asked, str(url), origin, _audience(url) if url.host == home.host else "apps")


def _url(asked: str) -> URL:
    try:
        size, url = len(asked.encode()), URL(asked)
    except ValueError:
        raise _refused() from None
    if size > LONGEST_WAY_BACK or NEVER.search(asked) or asked.startswith("//"):
        raise _refused()
    right = url.scheme in ("http", "https") and url.host if url.absolute else asked.startswith("/") and not url.scheme
    if not right or url.user is not None or url.password is not None:
        raise _refused()
    return url


def _audience(url: URL) -> Literal["apps", "gatepost"]:
    """The consoles of Gatepost stand on this host; their cookie is not for applications."""
    console = any(url.path == path or url.path.startswith(f"{path}/") for path in CONSOLES)
    return "gatepost" if console else "apps"


def _refused() -> Problem:
    words = (
        "The link that brought you here wants to go on to an address that this sign-in does not know. "
        "Go back to the application and start there, or tell its makers: the address must be allowed here first."
    )
    return Problem(400, "return-to-not-allowed", words)
