"""What an administrator asks the session store for, with the token of their own session: the store decides."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import aiohttp
import msgspec

from services.platform.http import Problem, unavailable

SECONDS: Final = 5.0


class LiveSession(msgspec.Struct, frozen=True):
    login_id: UUID
    issued_at: datetime
    expires_at: datetime
    device: str | None
    acr: str
    aud: str


class Listed(msgspec.Struct, frozen=True):
    """Newest first; `cursor` is where to go on."""

    sessions: list[LiveSession]
    cursor: UUID | None = None


class Counted(msgspec.Struct, frozen=True):
    """`capped`: there are more."""

    count: int
    capped: bool


class SessionCalls:
    """Every call raises 404 `not-found` for what is not the administrator's, and 503 `session-store-unavailable`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/v1/sessions"

    async def of_user(self, token: str, account: str, user: str, cursor: UUID | None = None) -> Listed:
        asked = {"account": account, "user": user, "limit": "20"} | ({"cursor": str(cursor)} if cursor else {})
        return msgspec.json.decode(await self._call(token, "GET", "", asked), type=Listed)

    async def count(self, token: str, account: str, user: str | None = None, older_than: int = 0) -> Counted:
        """Live sessions of an account or user; those that were opened more than so many seconds ago."""
        asked = {"account": account, "older_than": str(older_than)} | ({"user": user} if user else {})
        return msgspec.json.decode(await self._call(token, "GET", "/count", asked), type=Counted)

    async def end(self, token: str, login_id: UUID) -> None:
        await self._call(token, "DELETE", f"/{login_id}", {})

    async def _call(self, token: str, method: str, path: str, asked: dict[str, str]) -> bytes:
        options: dict[str, Any] = {
            "params": asked,
            "headers": {"Authorization": f"Bearer {token}"},
            "timeout": aiohttp.ClientTimeout(total=SECONDS),
        }
        try:
            async with self._session.request(method, self._url + path, **options) as answer:
                said = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            raise unavailable("session-store-unavailable", "The session store does not answer.") from None
        if answer.status == 404:
            raise Problem(404, "not-found", "There is no such session: it may be over already.")
        if answer.status >= 400:
            raise unavailable("session-store-unavailable", "The session store cannot tell at the moment.")
        return said
