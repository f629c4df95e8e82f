"""Forms are taken from our own pages only: the browser says where a request comes from, and a token proves it."""

import base64
import hmac
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from services.platform.http import Problem
from services.platform.keys.keyring import Ring, UnknownKey

OWN: Final = ("same-origin", "none")  # `none`: a person, not a page, began it
FORMAT: Final = 1


def from_own_page(request: web.Request, public_url: str) -> None:
    """Raises 403 `foreign-form` unless the browser says that the request comes from this very site.

    By `Sec-Fetch-Site` (W3C Fetch Metadata) where it is sent, and by `Origin`, which every browser sends with a POST.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    own = {request.host.lower(), urlsplit(public_url).netloc.lower()}
    foreign_origin = origin is not None and urlsplit(origin).netloc.lower() not in own
    if (site is None and origin is None) or (site is not None and site not in OWN) or foreign_origin:
        raise _foreign()


def by_own_script(request: web.Request) -> None:
    """For streams. Raises 404 where the browser says that another site's page, even a sibling's, opens it: that page
    cannot read it, but would take the place of those who can.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in OWN:
        raise Problem(404, "not-found", "This is for a page of this site.")


class OldForm(Problem):
    """403 `foreign-form`: from our own site, but not from the browser as it is now."""

    def __init__(self) -> None:
        words = (
            "This page is older than what was done since in another tab or window of this browser, like signing in or "
            "out. Nothing was done with it. Start again."
        )
        super().__init__(403, "foreign-form", words)


class FormTokens:
    """base64url of `format (1) ‖ key id (1) ‖ MAC (32)`; good for what it was made for: a browser's cookie, say."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def make(self, bound_to: str) -> str:
        key = self._ring.active
        return base64.urlsafe_b64encode(bytes((FORMAT, key.id)) + _mac(key.secret, bound_to)).decode().rstrip("=")

    def check(self, bound_to: str, given: str) -> None:
        """Raises `OldForm`."""
        try:
            raw = base64.b64decode(given.encode() + b"=" * (-len(given) % 4), altchars=b"-_", validate=True)
            right = raw[0] == FORMAT and hmac.compare_digest(_mac(self._ring.get(raw[1]).secret, bound_to), raw[2:])
        except (ValueError, IndexError, UnknownKey):
            right = False
        if not right:
            raise OldForm


def _mac(secret: bytes, bound_to: str) -> bytes:
    return hmac.digest(secret, b"form\x1f" + bound_to.encode(), "sha256")


def _foreign() -> Problem:
    return Problem(403, "foreign-form", "This form is not from a page of this site. Go back, reload and send it again.")
