"""The browser's cookies, named in one place. The gateway sets them; the session store reads the session's.

All are `Secure`, `HttpOnly`, `SameSite=Lax`, `Path=/`. Browsers keep `__Host-` for the host that set it, and take
`__Secure-` and `__Host-` from HTTPS only (some from loopback too). See RFC 6265bis, section 4.1.3.
"""

from typing import Final

LOGIN: Final = "__Host-gatepost-login"
"""A login under way in this browser: sealed under the ring `web`, dead when the login is."""

LONGEST_WAY_BACK: Final = 1024
"""Bytes of the address that a sign-in under way leads to: the cookie holds it."""

CONSOLE: Final = "__Host-gatepost-console"
"""The value is the `gp_…` token of audience `gatepost`: Gatepost's own consoles, on the host that set it."""


TYPED: Final = "__Host-gatepost-typed"
"""What was typed into a form of the account console that waits for a fresh sign-in: sealed under the ring `web`."""


def session_cookie(domain: str | None) -> str:
    """The cookie whose value is the `gp_…` token of audience `apps`, as it is; `domain` is GATEPOST_COOKIE_DOMAIN."""
    return "__Host-gatepost" if domain is None else "__Secure-gatepost"
