"""What the account console's pages work with, built once by `app.py`."""

import base64
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from services.login_gateway.administration import Administration
from services.login_gateway.house import House
from services.login_gateway.postgres import users
from services.login_gateway.session_calls import SessionCalls
from services.login_gateway.user_rows import UserView
from services.platform.http import Problem, unavailable
from services.platform.keys.contacts import Contacts
from services.platform.keys.keyring import SealBroken, UnknownKey
from services.platform.ui.console import Visitor, again, typed, visitor


@dataclass(frozen=True)
class Desk:
    """`seal` is under the ring `web`: what stands in an address is not to be read there. Without a session store
    nothing is known about sessions.
    """

    house: House
    admin: Administration
    seal: Contacts
    sessions: SessionCalls | None

    def sealed(self, purpose: str, text: str) -> str:
        return base64.urlsafe_b64encode(self.seal.seal(text.encode(), _info(purpose))).decode().rstrip("=")

    def opened(self, purpose: str, sealed: str) -> str | None:
        """None for what we did not seal."""
        try:
            raw = base64.urlsafe_b64decode(sealed.encode() + b"=" * (-len(sealed) % 4))
            return self.seal.open(raw, _info(purpose)).decode()
        except (ValueError, SealBroken, UnknownKey):
            return None

    @property
    def store(self) -> SessionCalls:
        """Raises 503 `session-store-unavailable`."""
        if self.sessions is None:
            raise unavailable("session-store-unavailable", "No session store is known here.")
        return self.sessions


async def user_of(request: web.Request, seen: Visitor) -> UserView:
    """The user whom the address names. Raises 404 also for those of other accounts."""
    return await users.one(request.app[DESK].admin, UUID(seen.user.account_id), request.match_info["user"])


async def of_refused(request: web.Request, problem: Problem) -> tuple[Visitor, UserView]:
    """Who sent a form that was refused, and the user whom it is about, so that it can be shown again. Raises
    the problem itself where nothing was typed, or there is no such user any more.
    """
    if not typed(request):
        raise problem
    seen = await visitor(request)
    try:
        return seen, await user_of(request, seen)
    except Problem:
        raise problem from None


def wrong(request: web.Request, problem: Problem | None) -> dict[str, Any] | None:
    """A refusal as a form shows it: beside its field where it has one, with the way out where there is one."""
    if problem is None:
        return None
    field = str(problem.more.get("field", ""))
    link = again(request) if problem.name == "fresh-sign-in-required" else None
    return {"field": FIELDS.get(field, field), "text": problem.detail, "link": link}


def _info(purpose: str) -> str:
    return f"web\x1f{purpose}"


FIELDS: Final = {
    "two_factor": "sms",
    "two_factor.sms": "sms",
    "two_factor.email": "email_on",
    "settings.session_seconds": "amount",
}
DESK: Final[web.AppKey[Desk]] = web.AppKey("desk", Desk)
