"""The browser's cookie of a sign-in under way: sealed, so that only we read it and nobody else makes one."""

import base64
import secrets
from typing import Final
from uuid import UUID

import msgspec
from aiohttp import web

from services.platform.clock import Clock
from services.platform.cookies import LOGIN
from services.platform.http import Problem
from services.platform.keys.contacts import Contacts
from services.platform.keys.keyring import SealBroken, UnknownKey

SECONDS: Final = 3600
INFO: Final = "web\x1fvisit"


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the last form was answered, and what was typed into it. Shown once: a reload shows the page as it is.

    `blames` is whether what was typed is at fault.
    """

    text: str
    typed: str = ""
    blames: bool = True

    def __repr__(self) -> str:
        return "Said(…)"


class Visit(msgspec.Struct, frozen=True, omit_defaults=True):
    """`id` is what the tokens of this browser's forms are bound to."""

    id: str
    begun_at: int
    login_id: UUID | None = None
    account: str = ""
    return_to: str = ""
    said: Said | None = None

    def __repr__(self) -> str:
        return f"Visit({self.login_id})"

    def saying(self, text: str, typed: str = "", blames: bool = True) -> "Visit":
        return msgspec.structs.replace(self, said=Said(text, typed[:256], blames))

    def answered(self, problem: Problem, typed: str = "") -> "Visit":
        """What a rule answered: a limit and our own trouble are not the fault of what was typed."""
        return self.saying(problem.detail, typed, problem.status < 429)

    def silent(self) -> "Visit":
        return msgspec.structs.replace(self, said=None)


class Visits:
    """Reads and sets the cookie. Sealed under the ring `web`."""

    def __init__(self, seal: Contacts, clock: Clock) -> None:
        self._seal = seal
        self._clock = clock

    def new(self) -> Visit:
        return Visit(secrets.token_hex(16), self._now())

    def of(self, request: web.Request) -> Visit | None:
        """None for a cookie that is missing, old or not ours."""
        try:
            sealed = base64.urlsafe_b64decode(request.cookies.get(LOGIN, ""))
            found = msgspec.json.decode(self._seal.open(sealed, INFO), type=Visit)
        except (ValueError, SealBroken, UnknownKey):
            return None
        return found if self._now() - found.begun_at < SECONDS else None

    def keep(self, response: web.Response, visit: Visit) -> web.Response:
        sealed = base64.urlsafe_b64encode(self._seal.seal(msgspec.json.encode(visit), INFO)).decode()
        response.set_cookie(LOGIN, sealed, max_age=SECONDS, path="/", secure=True, httponly=True, samesite="Lax")
        return response

    def forget(self, response: web.Response) -> None:
        response.del_cookie(LOGIN, path="/", secure=True, httponly=True, samesite="Lax")

    def _now(self) -> int:
        return int(self._clock.now().timestamp())
