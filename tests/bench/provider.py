"""The SMS provider's part in the bench: Twilio's answer and signed receipts, in the load generator itself.

The simulator (`deploy/simulator`) is made for people and faults, and answers some hundred messages a second: that would
be what is measured. This one answers some ten thousand, and hands each code to who waits for it without another call.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import re
import time
from collections.abc import Callable
from typing import Final, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.bench.wire import Broken, Client, length_in, request

CODE: Final = re.compile(rb"(?<!\d)\d{6,10}(?!\d)")
REFUSED: Final = '{"code": 21614, "message": "not a mobile number", "status": 400}'
RECEIPTS: Final = (("sent", 0.2), ("delivered", 1.0))


class Provider:
    """Listens on 127.0.0.1. `waiting[phone]` gets (code, when) as soon as the message comes; numbers that begin with
    `refused` are refused for good.
    """

    def __init__(self, port: int, token: str, delay: float = 0.0) -> None:
        self.port, self.delay = port, delay
        self._token = token
        self.waiting: dict[str, asyncio.Future[tuple[str, float]]] = {}
        self.calls = 0
        self.seen: Callable[[str, float], None] | None = None
        self.refused = ""
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._receivers: dict[str, Client] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Provider:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Call(self), "127.0.0.1", self.port, backlog=1024)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._under_way:
            task.cancel()
        for client in self._receivers.values():
            client.close()

    def take(self, form: dict[bytes, bytes]) -> bytes:
        """One message; gives Twilio's answer."""
        now, to = time.perf_counter(), form[b"To"].decode()
        self.calls += 1
        if self.seen is not None:
            self.seen(to, now)
        if (waiter := self.waiting.pop(to, None)) is not None and not waiter.done():
            found = CODE.search(form[b"Body"])
            waiter.set_result((found.group().decode() if found else "", now))
        if self.refused and to.startswith(self.refused):
            return _answer("400 Bad Request", REFUSED)
        sid = f"SM{next(self._numbers):032x}"
        if callback := form.get(b"StatusCallback"):
            self._soon(callback.decode(), sid, to)
        return _answer("201 Created", f'{{"sid": "{sid}", "status": "queued", "error_code": null}}')

    def _soon(self, url: str, sid: str, to: str) -> None:
        task = asyncio.get_running_loop().create_task(self._receipts(url, sid, to))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _receipts(self, url: str, sid: str, to: str) -> None:
        for status, pause in RECEIPTS:
            await asyncio.sleep(pause)
            form = {"MessageSid": sid, "MessageStatus": status, "SmsSid": sid, "SmsStatus": status, "To": to}
            parts = urlsplit(url)
            client = self._receivers.setdefault(parts.netloc, Client(url))
            headers = {
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Twilio-Signature": self._signed(url, form),
            }
            try:
                await client.send(request("POST", f"{parts.path}?{parts.query}", urlencode(form).encode(), headers))
            except (Broken, OSError):
                return

    def _signed(self, url: str, form: dict[str, str]) -> str:
        """https://www.twilio.com/docs/usage/security#validating-requests"""
        text = url + "".join(name + form[name] for name in sorted(form))
        return base64.b64encode(hmac.digest(self._token.encode(), text.encode(), hashlib.sha1)).decode()


def _answer(status: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


class _Call(asyncio.Protocol):
    """One connection of the delivery worker."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, split, rest = self._held.partition(b"\r\n\r\n")
        if not split or len(rest) < (size := length_in(head)):
            return
        self._held = rest[size:]
        answer = self._provider.take(dict(parse_qsl(rest[:size])))
        asyncio.get_running_loop().call_later(self._provider.delay, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)
