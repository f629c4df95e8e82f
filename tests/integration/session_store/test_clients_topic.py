"""The `clients` topic as a service reads it: from its start after every loss, and no forgery is reported twice."""

import asyncio
import base64
from typing import Any
from uuid import uuid4

from schemas import topics
from schemas.events import ClientChanged
from services.platform import clients
from services.platform.kafka import Connection
from services.platform.keys.grants import Verifier
from services.platform.keys.keyring import Keyrings
from services.session_store.store import STORE
from tests.integration.session_store.world import Place, World, envelope


class Letters:
    """Remembers the keys of what was given up."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    async def send(self, record: Any, reason: str) -> None:
        self.keys.append(record.key)


class Unlucky(clients.ClientDirectory):
    """Loses the broker when it first hears of that client."""

    def __init__(self, pool: Any, client_id: str) -> None:
        super().__init__(pool)
        self._of, self._heard, self.again = client_id, False, asyncio.Event()

    async def apply(self, event: ClientChanged) -> None:
        await super().apply(event)
        if event.client_id == self._of:
            if self._heard:
                self.again.set()
            else:
                self._heard = True
                raise OSError("the broker is away")


async def test_a_forged_client_is_one_dead_letter_however_often_the_topic_is_read(place: Place, world: World):
    forged, real = f"forged-{uuid4()}", f"real-{uuid4()}"
    await world.producer.send(topics.CLIENTS.name, forged.encode(), b"{}")
    await world.publish(changed(real))
    letters, directory = Letters(), Unlucky(world.app[STORE].pool, real)
    verifier = Verifier(Keyrings(place.keys / "session-store").secret("grants.pub"))
    reading = clients.follow(directory, Connection(place.kafka), verifier, letters, "test")  # type: ignore[arg-type]
    task = asyncio.create_task(reading)
    try:
        await asyncio.wait_for(directory.again.wait(), 20)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert letters.keys.count(forged.encode()) == 1


def changed(client_id: str) -> ClientChanged:
    return ClientChanged(
        **envelope("*"),
        client_id=client_id,
        secret_hash="A" * 43 + "=",
        account="*",
        scopes=("introspect",),
        enabled=False,
        revision=1,
    )


class Away:
    async def fetchrow(self, *_: Any) -> Any:
        raise ConnectionRefusedError


async def test_who_was_looked_up_while_another_client_changed_is_known_when_postgres_goes_away(world: World):
    headers, pool = await world.client("*", "introspect"), world.app[STORE].pool
    client_id, secret = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode().split(":")
    directory = clients.ClientDirectory(pool)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE clients IN ACCESS EXCLUSIVE MODE")
        asked = asyncio.create_task(directory.check(client_id, secret))
        await asyncio.sleep(0)  # it waits for the lock
        directory.forget("another")
    assert await asked
    directory._pool, directory._rows = Away(), {}  # type: ignore[assignment]
    assert await directory.check(client_id, secret)
