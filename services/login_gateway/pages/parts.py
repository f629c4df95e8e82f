"""What the sign-in pages work with, built once by `app.py`."""

from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from services.login_gateway.house import House
from services.login_gateway.pages.visit import Visit, Visits
from services.login_gateway.ports import Brands
from services.platform import cookies
from services.platform.http import Problem
from services.platform.keys.tokens import BadToken, Token
from services.platform.ui import forgery
from services.platform.ui.forgery import FormTokens


class Sessions(Protocol):
    """`revoke` ends the session of a token; False when that could not be done. `whose` is the user of a live one."""

    async def revoke(self, token: str) -> bool: ...
    async def whose(self, token: str) -> str | None: ...


@dataclass(frozen=True)
class Parts:
    """Without `sessions` (no session store is known) no session can be ended from here."""

    house: House
    visits: Visits
    forms: FormTokens
    brands: Brands
    sessions: Sessions | None

    def cookie_for(self, audience: str) -> tuple[str, str | None]:
        """The name and domain of the cookie that holds a session of that audience."""
        if audience == "gatepost":
            return cookies.CONSOLE, None
        domain = self.house.settings.cookie_domain
        return cookies.session_cookie(domain), domain

    def token_of(self, request: web.Request, audience: str) -> tuple[str, Token] | None:
        """The browser's token of that audience, if we made it; whether it is alive only the session store knows."""
        text = request.cookies.get(self.cookie_for(audience)[0], "")
        try:
            return text, self.house.tokens.read(text)
        except BadToken:
            return None

    def visit_of(self, request: web.Request, given: str, about: object = "") -> Visit:
        """The visit that a form of ours belongs to. Raises 403 `foreign-form`, `OldForm`, 400 `no-cookie`."""
        forgery.from_own_page(request, self.house.settings.public_url)
        visit = self.visits.of(request)
        if visit is None:
            words = (
                "Your browser did not send our cookie: the page was open for over an hour, you signed out in another "
                "tab, or cookies are off. Nothing was done. Allow cookies for this site and start again."
            )
            raise Problem(400, "no-cookie", words)
        self.forms.check(bound(visit, about), given)
        return visit

    def form_token(self, visit: Visit, about: object = "") -> str:
        return self.forms.make(bound(visit, about))


def bound(visit: Visit, about: object) -> str:
    return f"{visit.id} {about}"


PARTS: Final[web.AppKey[Parts]] = web.AppKey("parts", Parts)
