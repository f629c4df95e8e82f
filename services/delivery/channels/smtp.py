"""E-mail by SMTP (RFC 5321): 4xx may be tried again, 5xx may not, a connection lost after DATA says nothing."""

import asyncio
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Final, Literal

import aiosmtplib

from services.delivery.provider import Blame, Message, Permanent, Retryable, Unknown

SEVEN_BITS: Final = SMTP.clone(cte_type="7bit")  # not every server takes more

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
    name = "smtp"
    channel = "email"
    gives_receipts = False

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def send(self, message: Message, timeout: float) -> str:
        talk = _Talk(self._server, timeout)
        try:
            async with asyncio.timeout(timeout):
                return await talk.deliver(message)
        except aiosmtplib.SMTPResponseException as refused:
            raise _refusal(refused.code, talk.step) from None
        except UnicodeEncodeError:
            raise Permanent("invalid-address") from None
        except (TimeoutError, aiosmtplib.SMTPException, OSError):
            if talk.step == "data":
                raise Unknown("connection-lost") from None
            raise Retryable("provider-unreachable") from None
        finally:
            talk.hang_up()

    async def close(self) -> None:
        return None


class _Talk:
    """One conversation, which remembers how far it came."""

    def __init__(self, server: SmtpServer, timeout: float) -> None:
        self.step = "connect"
        self._server = server
        self._smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            username=server.user,
            password=server.password,
            timeout=timeout,
        )

    async def deliver(self, message: Message) -> str:
        mail = _mail(self._server.sender, message)
        await self._smtp.connect()
        self.step = "envelope"
        await self._smtp.mail(self._server.sender)
        await self._smtp.rcpt(message.to)
        self.step = "data"
        await self._smtp.data(mail.as_bytes())
        self.step = "done"
        return str(mail["Message-ID"])

    def hang_up(self) -> None:
        self._smtp.close()


def _mail(sender: str, message: Message) -> EmailMessage:
    """Text and HTML, from a machine that wants no answer of another (RFC 3834; the second header is Exchange's)."""
    mail = EmailMessage(policy=SEVEN_BITS)
    mail["From"] = Address(message.sender, addr_spec=sender) if message.sender else sender
    mail["To"] = message.to
    mail["Subject"] = message.subject
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = f"<{message.delivery_id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(message.text)
    if message.html is not None:
        mail.add_alternative(message.html, subtype="html")
    if message.locale is not None:
        mail["Content-Language"] = message.locale
    return mail


def _refusal(code: int, step: str) -> Retryable | Permanent:
    if 400 <= code < 500:
        return Retryable("mailbox-busy" if step == "envelope" else "provider-error")
    if code in (530, 534, 535, 538):
        return Permanent("provider-credentials", Blame.PROVIDER)
    return Permanent("invalid-address" if code in (550, 551, 553) else f"refused:{code}")
