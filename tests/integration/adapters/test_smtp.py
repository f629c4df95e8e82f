"""E-mail by SMTP: connections that serve many messages, and servers that hang up between and within them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.simulator.faults import Faults
from deploy.simulator.smtp import Mailbox
from deploy.simulator.store import Store
from services.delivery.channels import smtp
from services.delivery.channels.smtp import Smtp, SmtpServer
from services.delivery.provider import Message, Permanent, Retryable, Unknown


class Counting(Mailbox):
    """The simulator's mailbox, which counts the conversations that brought a message."""

    def __init__(self, store: Store, faults: Faults) -> None:
        super().__init__(store, faults)
        self.connections: list[SMTP] = []
        self.goodbye = False

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.goodbye and server in self.connections:
            return "421 4.4.2 idle for too long"
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if server not in self.connections:
            self.connections.append(server)
        return await super().handle_DATA(server, session, envelope)


class Place:
    """A mail server, and Gatepost's way to it with a clock of its own."""

    def __init__(self, port: int, mailbox: Counting, store: Store, faults: Faults) -> None:
        self.now, self.mailbox, self.store, self.faults = 0.0, mailbox, store, faults
        self.smtp = Smtp(SmtpServer("127.0.0.1", port, "none", "codes@gatepost.example"), lambda: self.now)
        self._number = 0

    async def send(self, to: str = "ada@example.com", timeout: float = 5.0) -> str:
        self._number += 1
        return await self.smtp.send(Message(f"id-{self._number}", to, "Your code", "Code 123456\n"), timeout)

    def arrived(self) -> int:
        return len(self.store.find(None, "email", None))

    def fail(self, mode: str, **more: Any) -> None:
        self.faults.put({"email": {"*": {"mode": mode, "times": 1, **more}}})


@pytest_asyncio.fixture
async def place() -> AsyncIterator[Place]:
    store, faults = Store(), Faults()
    mailbox = Counting(store, faults)
    async with serving(mailbox) as port:
        made = Place(port, mailbox, store, faults)
        yield made
        await made.smtp.close()


@asynccontextmanager
async def serving(mailbox: Counting) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="test", loop=loop), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_one_connection_serves_one_message_after_the_other(place: Place):
    for _ in range(5):
        await place.send()
    assert (place.arrived(), len(place.mailbox.connections)) == (5, 1)


async def test_messages_of_one_moment_have_a_connection_each_and_these_are_kept(place: Place):
    await asyncio.gather(*(place.send() for _ in range(4)))
    await asyncio.gather(*(place.send() for _ in range(4)))
    assert (place.arrived(), len(place.mailbox.connections)) == (8, 4)


async def test_a_server_that_hung_up_meanwhile_costs_no_try(place: Place):
    await place.send()
    transport: Any = place.mailbox.connections[0].transport
    transport.abort()
    await place.send()
    assert (place.arrived(), len(place.mailbox.connections)) == (2, 2)


async def test_a_server_that_says_goodbye_to_the_next_message_costs_no_try(place: Place):
    await place.send()
    place.mailbox.goodbye = True
    await place.send()
    assert (place.arrived(), len(place.mailbox.connections)) == (2, 2)


async def test_a_connection_that_answers_nothing_any_more_is_left_after_two_seconds(place: Place, monkeypatch):
    monkeypatch.setattr(smtp, "REPLY_SECONDS", 0.2)
    await place.send()
    transport: Any = place.mailbox.connections[0].transport
    transport.pause_reading()
    await place.send()
    assert (place.arrived(), len(place.mailbox.connections)) == (2, 2)


async def test_an_old_connection_and_one_that_served_enough_are_not_used_again(place: Place, monkeypatch):
    monkeypatch.setattr(smtp, "MOST_MESSAGES", 2)
    for _ in range(3):
        await place.send()
    assert len(place.mailbox.connections) == 2
    place.now += smtp.IDLE_SECONDS
    await place.send()
    assert (place.arrived(), len(place.mailbox.connections)) == (4, 3)


@pytest.mark.parametrize(
    ("fault", "error", "arrives"),
    [
        ({"mode": "smtp_4xx"}, Retryable, 0),
        ({"mode": "smtp_5xx"}, Permanent, 0),
        ({"mode": "reset"}, Unknown, 0),
        ({"mode": "cut_after_data"}, Unknown, 1),
        ({"mode": "hang", "seconds": 2}, Unknown, 0),
    ],
)
async def test_what_fails_on_a_kept_connection_is_told_as_it_is_and_the_connection_is_not_used_again(
    place: Place, fault: dict[str, Any], error: type[Exception], arrives: int
):
    await place.send()
    place.fail(**fault)
    with pytest.raises(error):
        await place.send(timeout=1)
    await place.send()
    assert (place.arrived(), len(place.mailbox.connections)) == (2 + arrives, 2)


async def test_nobody_there_may_be_tried_again(place: Place):
    nobody = Smtp(SmtpServer("127.0.0.1", 1, "none", "codes@gatepost.example"))
    with pytest.raises(Retryable):
        await nobody.send(Message("id", "ada@example.com", "s", "t"), 2)
