"""What the administrative calls work with: built once by the service, or by a command with database access."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from aiohttp import web

from services.login_gateway.limits import DAY
from services.login_gateway.passwords import Passwords
from services.login_gateway.ports import Rule
from services.platform.clock import Clock
from services.platform.keys.contacts import Contacts
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Ring
from services.platform.outbox import Outbox, OutboxRow, insert

Connection = Any


@dataclass(frozen=True)
class Administration:
    """Without an `outbox` events are only written: the sweeper of a running gateway publishes them.

    `forget_client` hears of a changed client, so that this process asks the table for it again.
    """

    pool: "asyncpg.Pool[asyncpg.Record]"
    signer: Signer
    contacts: Contacts
    search: Ring
    passwords: Passwords
    clock: Clock
    outbox: Outbox | None = None
    notices: tuple[Rule, ...] = (Rule(5, 3600), Rule(20, DAY))
    forget_client: Callable[[str], None] | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[tuple[Connection, list[OutboxRow]]]:
        """A transaction and the events it writes, inserted before its commit; `announce` them afterwards."""
        rows: list[OutboxRow] = []
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection, rows
            await insert(connection, rows)

    def client_changed(self, client_id: str) -> None:
        if self.forget_client is not None:
            self.forget_client(client_id)

    async def announce(self, rows: Sequence[OutboxRow]) -> str:
        """`now` when Kafka or the session store has all of them, else `queued`."""
        if self.outbox is None:
            return "queued" if rows else "now"
        return await self.outbox.effective(rows)


ADMINISTRATION: Final[web.AppKey[Administration]] = web.AppKey("administration")
