"""Twilio's Messages API (https://www.twilio.com/docs/messaging/api/message-resource). Retries nothing."""

import asyncio
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import msgspec
from cachetools import TTLCache

from services.delivery.provider import Message, Permanent, Retryable, Unknown
from services.platform import failpoints

# https://www.twilio.com/docs/api/errors
REASONS: Final = {
    20003: "provider-credentials",
    21211: "invalid-number",
    21214: "invalid-number",
    21217: "invalid-number",
    21401: "invalid-number",
    21408: "country-blocked",
    21610: "opted-out",
    21612: "no-route",
    21614: "not-a-mobile",
    30003: "unreachable",
    30004: "blocked",
    30005: "unknown-number",
    30006: "landline",
    30007: "filtered",
    30008: "carrier-error",
}
FORM: Final = "application/x-www-form-urlencoded"
# An account's own sender that is not known there, not registered or not ours: the default one is taken instead.
SENDER_REFUSED: Final = {21212, 21606, 21612, 21657, 21659, 21660}
REMEMBERED_SECONDS: Final = 3600
CONNECT_SECONDS: Final = 2.0
RETRYABLE: Final = {20429: "rate-limited", 14107: "rate-limited", 21611: "queue-full", 30001: "queue-full"}


class Twilio:
    name = "twilio"
    channel = "sms"

    def __init__(
        self, *, base_url: str, sid: str, token: str, sender: str, callback: str | None, connections: int = 64
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/2010-04-01/Accounts/{sid}/Messages.json"
        self._headers = {"Authorization": aiohttp.encode_basic_auth(sid, token), "Content-Type": FORM}
        self._sender = sender
        self._callback = callback
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._refused: TTLCache[tuple[str, str], bool] = TTLCache(4096, REMEMBERED_SECONDS)
        self.gives_receipts = callback is not None

    async def send(self, message: Message, timeout: float) -> str:
        try:
            async with asyncio.timeout(timeout):
                status, after, body = await self._post(message)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise Retryable("provider-unreachable") from None
        except (TimeoutError, aiohttp.ClientError, OSError) as lost:
            raise Unknown("provider-silent" if isinstance(lost, TimeoutError) else "connection-lost") from None
        self._learn(message, body)
        return outcome(status, after, body)

    def _sender_of(self, message: Message) -> str:
        """The account's own, but where Twilio refused it lately: by the first digits, which say the country."""
        own = message.sender
        return self._sender if own is None or (own, message.to[:4]) in self._refused else own

    def _learn(self, message: Message, body: bytes) -> None:
        """Raises `Retryable` for a message that the default sender can carry."""
        own = self._sender_of(message)
        if own != self._sender and _json(body).get("code") in SENDER_REFUSED:
            self._refused[own, message.to[:4]] = True
            raise Retryable("sender-refused", 0.0)

    async def _post(self, message: Message) -> tuple[int, str | None, bytes]:
        form = {"To": message.to, "From": self._sender_of(message), "Body": message.text}
        if self._callback:
            form["StatusCallback"] = f"{self._callback}?delivery={message.delivery_id}"
        body = urlencode(form).encode()  # aiohttp's own form takes twice as long
        async with self._opened().post(self._url, data=body, allow_redirects=False) as answer:
            failpoints.reached("delivery.during-call")
            return answer.status, answer.headers.get("Retry-After"), await answer.read()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=10)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(headers=self._headers, connector=connector, timeout=timeout)
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def outcome(status: int, after: str | None, body: bytes) -> str:
    """The message's sid, or the error class that the answer belongs to."""
    said = _json(body)
    code = said.get("error_code") or said.get("code")
    if status in (200, 201):
        return _accepted(said, code)
    if status == 429 or code in RETRYABLE:
        raise Retryable(RETRYABLE.get(code or 0, "rate-limited"), _seconds(after))
    if status >= 500:
        raise Retryable("provider-error", _seconds(after))
    if status in (401, 403):
        raise Permanent("provider-credentials")
    raise Permanent(reason_of(code))


def _accepted(said: dict[str, Any], code: int | None) -> str:
    if not isinstance(said.get("sid"), str):
        raise Unknown("provider-answer-unreadable")
    if said.get("status") in ("failed", "undelivered"):
        raise Permanent(reason_of(code))
    return str(said["sid"])


def reason_of(code: int | None) -> str:
    return REASONS.get(code or 0, f"refused-{code}" if isinstance(code, int) else "refused")


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _seconds(after: str | None) -> float | None:
    try:
        return max(0.0, float(after)) if after else None
    except ValueError:
        return None
