"""The gateway's login on real Kafka and Postgres, called over HTTP.

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

from schemas import topics
from tests.integration.gateway_login.world import Desk, Heard, Place, Road, opened
from tests.integration.heard import listening

HEARD = (topics.LOGIN_CHALLENGES.name, topics.SESSION_EVENTS.name, topics.LOGIN_OUTCOMES.name)


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Place:
    kafka = os.environ.get("GATEPOST_TEST_KAFKA")
    if kafka is None:
        stack: Any = request.getfixturevalue("stack")
        return Place(stack.kafka, stack.dsn("gateway"), stack.environment.keys / "gateway")
    dsn = json.loads(Path(os.environ["GATEPOST_TEST_DSNS"]).read_text())["gateway"]["own"]
    return Place(kafka, dsn, Path(os.environ["GATEPOST_TEST_KEYS"]) / "gateway")


@pytest_asyncio.fixture(scope="session")
async def heard(place: Place) -> AsyncIterator[Heard]:
    """What really goes out on the topics from now on."""
    found = Heard(place.keys)
    async with listening(place.kafka, place.keys, HEARD, "gatepost-test-login", found.events):
        yield found


@pytest_asyncio.fixture(scope="session")
async def desk(place: Place, heard: Heard) -> AsyncIterator[Desk]:
    async with opened(place, heard) as made:
        yield made


@pytest_asyncio.fixture
async def cut_off(place: Place, heard: Heard) -> AsyncIterator[tuple[Desk, Road]]:
    """A gateway whose way to Postgres can be closed and opened again."""
    async with Road.to(place.dsn) as road, opened(road.place(place), heard) as made:
        yield made, road
