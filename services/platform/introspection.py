"""Who holds a `gp_…` token of audience `gatepost`: the session store is asked (RFC 7662), nothing is remembered."""

import time
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from services.platform.auth import User
from services.platform.http import Problem, unavailable
from services.platform.settings import ServiceSettings

SECONDS: Final = 3.0


class Introspection:
    """One service's way to ask, with its own client, over a session that stays open until `close`."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._url = f"{(settings.session_store_url or '').rstrip('/')}/v1/introspect"
        self._client = settings.client_pair() if settings.session_store_url else None
        self._session: aiohttp.ClientSession | None = None

    async def user(self, token: str) -> User | None:
        """The person whose token is active; None also without a client or an address to ask with.

        Raises 503 `session-store-unavailable`.
        """
        return None if self._client is None else user_of(await self._said(token, self._client))

    async def close(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def _said(self, token: str, client: tuple[str, str]) -> dict[str, Any]:
        if self._session is None:
            headers = {"Authorization": aiohttp.encode_basic_auth(*client)}
            self._session = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=SECONDS))
        try:
            async with self._session.post(self._url, data={"token": token}) as answer:
                if answer.status != 200:
                    raise _away()
                said: dict[str, Any] = await answer.json()
                return said
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise _away() from None


def _away() -> Problem:
    return unavailable("session-store-unavailable", "The session store does not answer.")


def user_of(said: dict[str, Any]) -> User | None:
    """The person, if the token is active and of audience `gatepost`."""
    if not said.get("active") or said.get("aud") != "gatepost" or said["exp"] <= time.time():
        return None
    return User(said["sub"], said["account"], said["role"], datetime.fromtimestamp(said["auth_time"], UTC))
