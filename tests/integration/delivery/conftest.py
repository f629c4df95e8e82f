"""Delivery on real Kafka and Postgres with the simulator as its providers.

With GATEPOST_TEST_KAFKA (and GATEPOST_TEST_DSNS, GATEPOST_TEST_KEYS, GATEPOST_TEST_INBOX, GATEPOST_TEST_DELIVERY) the
tests use what runs there; otherwise the session's `stack`.
"""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from services.platform.auth import hash_secret
from services.platform.clock import new_id
from services.platform.kafka import Connection, Producer
from services.platform.keys.codes import Codes
from services.platform.keys.contacts import Contacts
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import ReceiptTokens
from tests.integration.delivery.world import World

SCOPES = ["deliveries:read", "deliveries:replay", "operate"]


@dataclass(frozen=True)
class Place:
    kafka: str
    dsn: str
    keys: Path
    inbox: str
    url: str


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Place:
    kafka = os.environ.get("GATEPOST_TEST_KAFKA")
    if kafka is None:
        stack: Any = request.getfixturevalue("stack")
        inbox = f"http://127.0.0.1:{stack.ports.inbox}"
        keys, url = stack.environment.keys, stack.environment.url("delivery")
        return Place(stack.kafka, stack.dsn("delivery"), keys, inbox, url)
    dsn = json.loads(Path(os.environ["GATEPOST_TEST_DSNS"]).read_text())["delivery"]["own"]
    keys = Path(os.environ["GATEPOST_TEST_KEYS"])
    return Place(kafka, dsn, keys, os.environ["GATEPOST_TEST_INBOX"], os.environ["GATEPOST_TEST_DELIVERY"])


@pytest_asyncio.fixture(scope="session")
async def world(place: Place) -> AsyncIterator[World]:
    rings = Keyrings(place.keys / "gateway")
    producer = Producer(Connection(place.kafka), "gatepost-test")
    auth = await client(place, "*", SCOPES)
    async with aiohttp.ClientSession() as http:
        made = World(
            url=place.url,
            inbox=place.inbox,
            kafka=place.kafka,
            http=http,
            producer=producer,
            contacts=Contacts(rings.secret("contacts")),
            codes=Codes(rings.secret("code")),
            signer=Signer(rings.secret("grants")),
            auth=auth,
            tokens=ReceiptTokens(Keyrings(place.keys / "delivery").secret("receipts")),
        )
        await made.faults()
        yield made
        await made.faults()
    await producer.stop()


async def client(place: Place, account: str, scopes: list[str]) -> dict[str, str]:
    """A client in delivery's own table, as the `clients` topic would have brought it."""
    name, secret = f"test-{new_id()}", os.urandom(16).hex()
    connection = await asyncpg.connect(place.dsn)
    try:
        await connection.execute(
            "INSERT INTO clients (client_id, secret_hash, account, scopes, enabled, revision)"
            " VALUES ($1, $2, $3, $4, true, 1)",
            name,
            hash_secret(secret),
            account,
            scopes,
        )
    finally:
        await connection.close()
    return {"Authorization": aiohttp.encode_basic_auth(name, secret)}
