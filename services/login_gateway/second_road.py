"""When Kafka is silent, session events go to the session store by HTTP: the same bytes, the same `apply`.

And by HTTP a browser's session is ended, at its own wish.
"""

import base64
from typing import Any, Final

import aiohttp
import msgspec
import structlog

from schemas import topics
from services.platform import metrics
from services.platform.outbox import OutboxRow

log = structlog.get_logger()

SECONDS: Final = 3.0


class Introspected(msgspec.Struct):
    sub: str | None = None


class SessionStore:
    """The gateway's way to the session store, with its own client."""

    def __init__(self, session: aiohttp.ClientSession, url: str, client: tuple[str, str]) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._auth = {"Authorization": aiohttp.encode_basic_auth(*client)}

    async def take(self, row: OutboxRow) -> bool:
        """Whether the store has applied the event."""
        signature = row.headers.get(topics.SIGNATURE_HEADER, "")
        event = {
            "topic": row.topic,
            "key": base64.b64encode(row.key).decode(),
            "value": base64.b64encode(row.value).decode(),
            "signature": base64.b64encode(base64.urlsafe_b64decode(signature)).decode(),
        }
        status, _ = await self._post("/v1/events", json={"events": [event]})
        metrics.SECOND_ROAD.labels("taken" if status == 200 else "failed").inc()
        if status != 200:
            log.warning("second_road_failed", status=status)
        return status == 200

    async def revoke(self, token: str) -> bool:
        """Whether the store has ended the session (RFC 7009)."""
        status, _ = await self._post("/v1/revoke", data={"token": token})
        if status != 200:
            log.warning("session_not_revoked", status=status)
        return status == 200

    async def whose(self, token: str) -> str | None:
        """The id of the user whose live session that is (RFC 7662); None where there is none, or nobody can tell."""
        status, said = await self._post("/v1/introspect", data={"token": token})
        return msgspec.json.decode(said, type=Introspected).sub if status == 200 else None

    async def _post(self, path: str, **body: Any) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            async with self._session.post(self._url + path, headers=self._auth, timeout=timeout, **body) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return 0, b""
