"""An SMTP server (aiosmtpd) with faults, in our own event loop."""

import asyncio
import email
import email.policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.simulator.faults import Faults
from deploy.simulator.store import Message, Store


class Mailbox:
    """aiosmtpd's handler: every recipient gets a copy."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        to = str(envelope.rcpt_tos[0])
        fault = self._faults.take("email", to)
        mode = fault.mode if fault else None
        answer = "250 OK"
        match mode:
            case "smtp_4xx":
                answer = f"{fault.code or 451 if fault else 451} 4.3.0 Try again later"
            case "smtp_5xx":
                answer = f"{fault.code or 550 if fault else 550} 5.1.1 No such mailbox"
            case "hang":
                await asyncio.sleep(fault.seconds if fault else 30)
            case "reset":
                _cut(server)
            case "cut_after_data":
                await self._deliver(envelope, accepted=False)
                _cut(server)
            case _:
                await self._deliver(envelope, accepted=True)
        await self._store.tried("email", to, mode, answer[:3] if mode != "cut_after_data" else "cut")
        return answer

    async def _deliver(self, envelope: Envelope, accepted: bool) -> None:
        raw = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        parsed = email.message_from_bytes(raw, policy=email.policy.default)
        text, html = _part(parsed, "plain"), _part(parsed, "html")
        for to in envelope.rcpt_tos:
            subject, sender = str(parsed.get("Subject", "")), str(envelope.mail_from)
            await self._store.add(Message("email", str(to), sender, text or "", subject, html, accepted))


def _part(message: EmailMessage, kind: str) -> str | None:
    found = message.get_body((kind,))
    return str(found.get_content()) if found is not None else None


def _cut(server: SMTP) -> None:
    transport: Any = server.transport
    transport.abort()


async def listen(store: Store, faults: Faults, port: int) -> asyncio.Server:
    """Serve SMTP on 127.0.0.1."""
    loop = asyncio.get_running_loop()
    mailbox = Mailbox(store, faults)
    return await loop.create_server(
        lambda: SMTP(mailbox, hostname="gatepost-simulator", loop=loop, enable_SMTPUTF8=True), "127.0.0.1", port
    )
