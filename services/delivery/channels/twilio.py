"""Twilio's Messages API (https://www.twilio.com/docs/messaging/api/message-resource). Retries nothing."""

import re
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from cachetools import TTLCache

from services.delivery.channels.calling import UNREADABLE, Answer, Caller, refusal
from services.delivery.channels.twilio_errors import ERRORS
from services.delivery.provider import Message, Permanent, Retryable, Unknown
from services.delivery.vendor_errors import code_in, error_of

FORM: Final = "application/x-www-form-urlencoded"
SID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
# An account's own sender that is not known there, not registered or not ours: the default one is taken instead.
SENDER_REFUSED: Final = {"21212", "21606", "21612", "21657", "21659", "21660"}
REMEMBERED_SECONDS: Final = 3600


class Twilio:
    name = "twilio"
    channel = "sms"

    def __init__(
        self, *, base_url: str, sid: str, token: str, sender: str, callback: str | None, connections: int = 64
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/2010-04-01/Accounts/{sid}/Messages.json"
        headers = {"Authorization": aiohttp.encode_basic_auth(sid, token), "Content-Type": FORM}
        self._caller = Caller(headers, connections)
        self._sender = sender
        self._callback = callback
        self._refused: TTLCache[tuple[str, str], bool] = TTLCache(4096, REMEMBERED_SECONDS)
        self.gives_receipts = callback is not None

    async def send(self, message: Message, timeout: float) -> str:
        form = {"To": message.to, "From": self._sender_of(message), "Body": message.text}
        if self._callback:
            form["StatusCallback"] = f"{self._callback}?token={message.token}"
        body = urlencode(form).encode()  # aiohttp's own form takes twice as long
        answer = await self._caller.post(self._url, body, timeout)
        self._learn(message, answer)
        return outcome(answer)

    def _sender_of(self, message: Message) -> str:
        """The account's own, but where Twilio refused it lately: by the first digits, which say the country."""
        own = message.sender
        return self._sender if own is None or (own, message.to[:4]) in self._refused else own

    def _learn(self, message: Message, answer: Answer) -> None:
        """Raises `Retryable` for a message that the default sender can carry."""
        own = self._sender_of(message)
        if own != self._sender and code_in(answer.said.get("code")) in SENDER_REFUSED:
            self._refused[own, message.to[:4]] = True
            raise Retryable("sender-refused", 0.0)

    async def close(self) -> None:
        await self._caller.close()


def outcome(answer: Answer) -> str:
    """The message's sid; raises the class that the answer belongs to."""
    code = code_in(answer.said.get("error_code")) or code_in(answer.said.get("code"))
    if 200 <= answer.status < 300:
        return _accepted(answer.said, code)
    raise refusal(answer, ERRORS, code)


def _accepted(said: dict[str, Any], code: str | None) -> str:
    """A success may hold an error: a message that failed at once, or an error's body."""
    sid = said.get("sid")
    if said.get("status") in ("failed", "undelivered") or (sid is None and ERRORS.of(code)):
        known = ERRORS.of(code)
        raise error_of(known, None) if known else Permanent(ERRORS.reason_of(code))
    if not isinstance(sid, str) or not SID.fullmatch(sid):
        raise Unknown(UNREADABLE)
    return sid
