"""A whole session store in this process, on real Kafka and Postgres.

With GATEPOST_TEST_KAFKA (and GATEPOST_TEST_DSNS, GATEPOST_TEST_KEYS) it uses what runs there; otherwise the session's
`stack`.
"""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.platform.kafka import Connection, Producer
from tests.integration.session_store.world import Place, World, opened


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Place:
    kafka = os.environ.get("GATEPOST_TEST_KAFKA")
    if kafka is None:
        stack: Any = request.getfixturevalue("stack")
        return Place(stack.kafka, stack.dsn("session-store"), stack.environment.keys)
    dsn = json.loads(Path(os.environ["GATEPOST_TEST_DSNS"]).read_text())["session-store"]["own"]
    return Place(kafka, dsn, Path(os.environ["GATEPOST_TEST_KEYS"]))


@pytest_asyncio.fixture(scope="session")
async def world(place: Place) -> AsyncIterator[World]:
    producer = Producer(Connection(place.kafka), "gatepost-test-sessions")
    async with opened(place, producer) as made:
        yield made
    await producer.stop()
