"""E-mail by SMTP (RFC 5321): 4xx may be tried again, 5xx may not, a connection lost after DATA says nothing."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import aiosmtplib

from services.delivery.channels.mime import mail, message_id
from services.delivery.provider import Blame, Message, Permanent, Retryable, Unknown

IDLE_SECONDS: Final = 20.0  # RFC 5321, 4.5.3.2.7 lets a server wait five minutes; many do not
MOST_MESSAGES: Final = 100
REPLY_SECONDS: Final = 2.0

Security = Literal["none", "starttls", "tls"]


@dataclass(frozen=True, slots=True)
class SmtpServer:
    host: str
    port: int
    security: Security
    sender: str
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port}, {self.security})"


class Smtp:
    """Connections are kept for the next message: TLS and AUTH cost more than the message does."""

    name = "smtp"
    channel = "email"
    gives_receipts = False

    def __init__(self, server: SmtpServer, now: Callable[[], float] = time.monotonic) -> None:
        self._server, self._now = server, now
        self._tls = None if server.security == "none" else ssl.create_default_context()
        self._hostname = socket.getfqdn()
        self._idle: list[_Talk] = []

    async def send(self, message: Message, timeout: float) -> str:
        written = mail(self._server.sender, message)
        talk = self._kept() or self._new()
        try:
            async with asyncio.timeout(timeout):
                if talk.used and not await talk.is_there(self._server.sender):
                    talk = self._new()
                await talk.deliver(self._server.sender, message.to, written)
        except aiosmtplib.SMTPResponseException as refused:
            raise _refusal(refused.code, talk.step) from None
        except UnicodeEncodeError:
            raise Permanent("invalid-address") from None
        except (TimeoutError, aiosmtplib.SMTPException, OSError):
            if talk.step == "data":
                raise Unknown("connection-lost") from None
            raise Retryable("provider-unreachable") from None
        finally:
            self._keep(talk)
        return message_id(self._server.sender, message)

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().hang_up()

    def _new(self) -> "_Talk":
        return _Talk(self._server, self._tls, self._hostname)

    def _kept(self) -> "_Talk | None":
        """The one that was used last; those that a server may have had enough of are closed."""
        while self._idle:
            talk = self._idle.pop()
            if talk.used < MOST_MESSAGES and self._now() - talk.idle_since < IDLE_SECONDS:
                return talk
            talk.hang_up()
        return None

    def _keep(self, talk: "_Talk") -> None:
        if talk.step != "done":
            return talk.hang_up()
        talk.idle_since = self._now()
        self._idle.append(talk)
        return None


class _Talk:
    """One connection, which remembers how far its message came."""

    def __init__(self, server: SmtpServer, tls: ssl.SSLContext | None, hostname: str) -> None:
        self.step = "connect"
        self.used = 0
        self.idle_since = 0.0
        self._smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=tls,
            username=server.user,
            password=server.password,
            local_hostname=hostname,
            timeout=None,
        )

    async def is_there(self, sender: str) -> bool:
        """Begins the next message; False when the server hung up meanwhile: nothing was said yet, so another connection
        may say it.
        """
        self.step = "connect"
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                await self._smtp.mail(sender)
        except (TimeoutError, aiosmtplib.SMTPException, OSError):
            self.hang_up()
            return False
        self.step = "envelope"
        return True

    async def deliver(self, sender: str, to: str, written: bytes) -> None:
        if self.step != "envelope":
            await self._smtp.connect()
            self.step = "envelope"
            await self._smtp.mail(sender)
        await self._smtp.rcpt(to)
        self.step = "data"
        await self._smtp.data(written)
        self.step = "done"
        self.used += 1

    def hang_up(self) -> None:
        self._smtp.close()


def _refusal(code: int, step: str) -> Retryable | Permanent | Unknown:
    """A reply that is none, or no answer to what was said: after DATA it may be one to the message, unless it is 250,
    which would have been a good one. The connection is closed, another one may say it again.
    """
    if not 400 <= code < 600:
        return Unknown("connection-lost") if step == "data" and code != 250 else Retryable("provider-error")
    if 400 <= code < 500:
        return Retryable("mailbox-busy" if step == "envelope" else "provider-error")
    if code in (530, 534, 535, 538):
        return Permanent("provider-credentials", Blame.PROVIDER)
    return Permanent("invalid-address" if code in (550, 551, 553) else f"refused:{code}")
