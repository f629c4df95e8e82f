"""The mail server's part in the bench (RFC 5321): takes every message and forgets it.

The simulator's reads each message and keeps it for people: that costs more than sending it.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

END: Final = b"\r\n.\r\n"
ANSWERS: Final = {
    b"EHLO": b"250 bench\r\n",
    b"HELO": b"250 bench\r\n",
    b"MAIL": b"250 OK\r\n",
    b"RCPT": b"250 OK\r\n",
    b"DATA": b"354 go on\r\n",
    b"RSET": b"250 OK\r\n",
    b"NOOP": b"250 OK\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Mailbox:
    """Listens on 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.port, self.taken = port, 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Mailbox:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Talk(self), "127.0.0.1", self.port, backlog=1024)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._server is not None:
            self._server.close()


class _Talk(asyncio.Protocol):
    """One connection: a line is answered by its first word, a message by its end."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._held, self._in_message = b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(b"220 bench ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (found := self._held.partition(END if self._in_message else b"\r\n"))[1]:
            said, _, self._held = found
            self._transport.write(self._answer(said))

    def _answer(self, said: bytes) -> bytes:
        if self._in_message:
            self._in_message = False
            self._mailbox.taken += 1
            return b"250 taken\r\n"
        word = said[:4].upper()
        self._in_message = word == b"DATA"
        return ANSWERS.get(word, b"500 what?\r\n")
