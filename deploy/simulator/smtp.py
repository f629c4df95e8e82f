"""An SMTP server (aiosmtpd) with faults, in our own event loop."""

import asyncio
import email
import email.policy
import hmac
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from deploy.simulator.faults import Fault, Faults
from deploy.simulator.store import Attempt, Message, Store, code_in, now

CUTS: Final = ("reset", "cut_after_data")
# What faults of a provider with an HTTP API are to a mail server.
SAME_AS: Final = {
    "refuse": "smtp_5xx",
    "error": "smtp_4xx",
    "rate_limit": "smtp_4xx",
    "error_after_accept": "cut_after_data",
    "slow_drip": "hang",
}


@dataclass(frozen=True)
class MailLogin:
    """What a client must present; AUTH is offered only after STARTTLS."""

    user: str
    password: str = field(repr=False)

    def __call__(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        if not isinstance(given, LoginPassword):
            return AuthResult(success=False, handled=False)
        user = hmac.compare_digest(given.login, self.user.encode())
        password = hmac.compare_digest(given.password, self.password.encode())
        return AuthResult(success=user and password, handled=False)


class Mailbox:
    """aiosmtpd's handler: every recipient gets a copy."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        attempt = _attempt(envelope)
        fault = self._faults.take("email", attempt.to, "smtp")
        if fault is None:
            await self._deliver(envelope, accepted=True)
            await self._store.tried(replace(attempt, answered="250", arrived=True, at=now()))
            return "250 OK"
        return await self._fail(server, envelope, fault, attempt)

    async def _fail(self, server: SMTP, envelope: Envelope, fault: Fault, attempt: Attempt) -> str:
        mode = SAME_AS.get(fault.mode, fault.mode)
        answer = _answer(mode, fault.code if mode == fault.mode else None)
        arrived = mode == "cut_after_data"
        if arrived:
            await self._deliver(envelope, accepted=False, fault=fault.mode)
        answered = "cut" if mode in CUTS else answer[:3]
        await self._store.tried(replace(attempt, mode=fault.mode, answered=answered, arrived=arrived, at=now()))
        if mode in CUTS:
            _cut(server)
        elif mode == "hang":
            await asyncio.sleep(fault.seconds)
        return answer

    async def _deliver(self, envelope: Envelope, accepted: bool, fault: str | None = None) -> None:
        parsed = _parsed(envelope)
        text, html = _part(parsed, "plain"), _part(parsed, "html")
        headers = {name: str(value) for name, value in parsed.items()}
        for to in envelope.rcpt_tos:
            subject, sender = str(parsed.get("Subject", "")), str(envelope.mail_from)
            await self._store.add(
                Message("email", str(to), sender, text or "", subject, html, headers, accepted, fault)
            )


def _parsed(envelope: Envelope) -> EmailMessage:
    raw = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
    return email.message_from_bytes(raw, policy=email.policy.default)


def _attempt(envelope: Envelope) -> Attempt:
    """As it came; the sender's own name for it is in its Message-ID."""
    parsed = _parsed(envelope)
    ref = str(parsed.get("Message-ID", "")).strip().strip("<>").partition("@")[0]
    to = str(envelope.rcpt_tos[0])
    return Attempt("email", to, None, "", False, code_in(_part(parsed, "plain") or ""), ref or None)


def _answer(mode: str, code: int | str | None) -> str:
    if mode == "smtp_5xx":
        return f"{code or 550} 5.1.1 No such mailbox"
    return f"{code or 451} 4.3.0 Try again later"


def _part(message: EmailMessage, kind: str) -> str | None:
    found = message.get_body((kind,))
    return str(found.get_content()) if found is not None else None


def _cut(server: SMTP) -> None:
    transport: Any = server.transport
    transport.abort()


async def listen(
    store: Store, faults: Faults, port: int, tls: ssl.SSLContext | None = None, login: MailLogin | None = None
) -> asyncio.Server:
    """Serve SMTP on 127.0.0.1."""
    make = _maker(Mailbox(store, faults), asyncio.get_running_loop(), tls, login)
    return await asyncio.get_running_loop().create_server(make, "127.0.0.1", port)


def _maker(
    mailbox: Mailbox, loop: asyncio.AbstractEventLoop, tls: ssl.SSLContext | None, login: MailLogin | None
) -> Callable[[], Any]:
    return lambda: SMTP(
        mailbox,
        hostname="gatepost-simulator",
        loop=loop,
        enable_SMTPUTF8=True,
        tls_context=tls,
        authenticator=login,
        auth_required=login is not None,
        auth_exclude_mechanism=() if login else ("PLAIN", "LOGIN"),
    )
