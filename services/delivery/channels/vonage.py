"""Vonage's Messages API (https://developer.vonage.com/en/api/messages), SMS only. Retries nothing.

Vonage recommends the application's JWT over key and secret, which support no webhooks
(https://developer.vonage.com/en/getting-started/concepts/authentication).
"""

import re
import time
from collections.abc import Callable
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from services.delivery.channels.calling import UNREADABLE, Answer, Caller, refusal
from services.delivery.channels.senders import Senders
from services.delivery.channels.vonage_errors import ERRORS
from services.delivery.provider import Message, Unknown
from services.delivery.vendor_errors import code_in, error_of
from services.platform.clock import new_id

JWT_SECONDS: Final = 900
JWT_USED_SECONDS: Final = 600
SENDER_REFUSED: Final = frozenset({"1120", "1420", "1481"})
UUID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


class ApplicationJwt:
    """RS256 (RFC 7519) by the application's private key; one token serves all calls of ten minutes."""

    def __init__(self, application_id: str, key: RSAPrivateKey, now: Callable[[], float] = time.time) -> None:
        self._application_id, self._key, self._now = application_id, key, now
        self._made, self._token = 0.0, ""

    def token(self) -> str:
        now = self._now()
        if not 0 <= now - self._made < JWT_USED_SECONDS:
            claims = {"application_id": self._application_id, "jti": str(new_id())}
            times = {"iat": int(now), "exp": int(now) + JWT_SECONDS}
            self._made, self._token = now, jwt.encode(claims | times, self._key, algorithm="RS256")
        return self._token

    def forget(self) -> None:
        self._made = 0.0


class Vonage:
    name = "vonage"
    channel = "sms"

    def __init__(
        self, *, base_url: str, auth: ApplicationJwt, sender: str, callback: str | None, connections: int = 64
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/v1/messages"
        self._auth = auth
        self._caller = Caller({"Content-Type": "application/json", "Accept": "application/json"}, connections)
        self._senders = Senders(sender, SENDER_REFUSED)
        self._callback = callback
        self.gives_receipts = callback is not None

    async def send(self, message: Message, timeout: float) -> str:
        asked = {"channel": "sms", "message_type": "text", "from": self._senders.of(message), "text": message.text}
        asked["to"] = message.to.removeprefix("+")
        asked["client_ref"] = message.token  # handed back with every status, whoever's URL that goes to
        if self._callback:
            asked |= {"webhook_url": self._callback, "webhook_version": "v1"}
        headers = {"Authorization": f"Bearer {self._auth.token()}"}
        answer = await self._caller.post(self._url, msgspec.json.encode(asked), timeout, headers)
        if answer.status == 401:
            self._auth.forget()
        self._senders.learn(message, error_code(answer.said))
        return outcome(answer)

    async def close(self) -> None:
        await self._caller.close()


def outcome(answer: Answer) -> str:
    """The message's UUID; raises the class that the answer belongs to."""
    code = error_code(answer.said)
    if 200 <= answer.status < 300:
        return _accepted(answer.said, code)
    raise refusal(answer, ERRORS, code)


def _accepted(said: dict[str, Any], code: str | None) -> str:
    uuid = said.get("message_uuid")
    if uuid is None and (known := ERRORS.of(code)):
        raise error_of(known, None)
    if not isinstance(uuid, str) or not UUID.fullmatch(uuid):
        raise Unknown(UNREADABLE)
    return uuid


def error_code(error: dict[str, Any]) -> str | None:
    """The fragment of `type` (RFC 7807), or in webhooks the `title` where it is the code."""
    kind, title = error.get("type"), error.get("title")
    fragment = kind.rpartition("#")[2] if isinstance(kind, str) and "#" in kind else None
    number = title if isinstance(title, str) and title.isdecimal() else None
    return code_in(fragment) or code_in(number)
