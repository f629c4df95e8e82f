"""Twilio's Messages API (https://www.twilio.com/docs/messaging/api/message-resource). Retries nothing."""

import re
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from services.delivery.channels.calling import UNREADABLE, Answer, Caller, refusal
from services.delivery.channels.senders import Senders
from services.delivery.channels.twilio_errors import ERRORS
from services.delivery.provider import Message, Permanent, Unknown
from services.delivery.vendor_errors import code_in, error_of

FORM: Final = "application/x-www-form-urlencoded"
SID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
SENDER_REFUSED: Final = frozenset({"21212", "21606", "21612", "21657", "21659", "21660"})


class Twilio:
    name = "twilio"
    channel = "sms"

    def __init__(
        self, *, base_url: str, sid: str, token: str, sender: str, callback: str | None, connections: int = 64
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/2010-04-01/Accounts/{sid}/Messages.json"
        headers = {"Authorization": aiohttp.encode_basic_auth(sid, token), "Content-Type": FORM}
        self._caller = Caller(headers, connections)
        self._senders = Senders(sender, SENDER_REFUSED)
        self._callback = callback
        self.gives_receipts = callback is not None

    async def send(self, message: Message, timeout: float) -> str:
        form = {"To": message.to, "From": self._senders.of(message), "Body": message.text}
        if self._callback:
            form["StatusCallback"] = f"{self._callback}?token={message.token}"
        body = urlencode(form).encode()  # aiohttp's own form takes twice as long
        answer = await self._caller.post(self._url, body, timeout)
        self._senders.learn(message, code_in(answer.said.get("code")))
        return outcome(answer)

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
