"""Mail servers that reply with what is no reply, or with more of it than was asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.delivery.channels.smtp import Smtp, SmtpServer
from services.delivery.provider import Message, Retryable, Unknown


class Server:
    """Takes every message and says `reply` to it."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
        self.taken = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                self.taken += 1
                writer.write(self.reply)
            else:
                writer.write(b"250 fine\r\n")
        writer.close()


@asynccontextmanager
async def answering(reply: bytes) -> AsyncIterator[tuple[Smtp, Server]]:
    server = Server(reply)
    listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
    smtp = Smtp(SmtpServer("127.0.0.1", listening.sockets[0].getsockname()[1], "none", "codes@gatepost.example"))
    try:
        yield smtp, server
    finally:
        await smtp.close()
        listening.close()


def message(number: int) -> Message:
    return Message(f"id-{number}", "ada@example.com", text="Your code", subject="Your code")


@pytest.mark.parametrize("reply", [b"taken, thank you\r\n", b"250-" + b"x" * 70_000 + b"\r\n"], ids=["none", "endless"])
async def test_a_reply_to_the_message_that_is_none_says_nothing(reply: bytes):
    async with answering(reply) as (smtp, server):
        with pytest.raises(Unknown, match="connection-lost"):
            await smtp.send(message(1), 5.0)
        assert server.taken == 1


async def test_one_reply_too_many_costs_the_next_message_a_try_and_not_its_life():
    async with answering(b"250 taken\r\n250 taken\r\n") as (smtp, server):
        assert await smtp.send(message(1), 5.0)
        with pytest.raises(Retryable):
            await smtp.send(message(2), 5.0)
        assert await smtp.send(message(2), 5.0)
        assert server.taken == 2
