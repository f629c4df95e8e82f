"""A delivery in this process, on real Kafka, Postgres and simulator. Its database is its own, so no other worker takes
its rows; nobody feeds or sweeps it but the test.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from deploy.local.stack import Stack
from schemas import codec, topics
from schemas.events import Event
from services.delivery.dead_letters import Again
from services.delivery.house import House, build
from services.delivery.settings import DeliverySettings
from services.platform.keys.grants import Signer
from services.platform.serving import Serving
from tests.integration.databases import CONNECTIONS, own_database


@asynccontextmanager
async def own_house(stack: Stack, **changed: Any) -> AsyncIterator[House]:
    """Built and not started; `changed` are settings."""
    async with own_database(stack, "delivery") as dsn:
        house = await build(_settings(stack, database=dsn, instance_id=None, **changed))
        await house.controls.add_providers(house.routing.names())
        await house.refresh()
        try:
            yield house
        finally:
            await house.stop()


@asynccontextmanager
async def sweeping(house: House) -> AsyncIterator[None]:
    task = asyncio.create_task(house.sender.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def beside(house: House) -> AsyncIterator[House]:
    """Another worker on the same database."""
    other = await build(house.settings)
    await other.refresh()
    try:
        yield other
    finally:
        await other.stop()


async def listening(house: House, port: int = 0) -> Serving:
    """Its HTTP side; who keeps a connection does not hold up the end."""
    there = {"http_host": "127.0.0.1", "http_port": port, "stop_grace_seconds": 0.0}
    serving = Serving(house.site, house.settings.model_copy(update=there))
    await serving.start()
    return serving


def record(event: Event, offset: int = 0, signer: Signer | None = None) -> Again:
    topic, key, value = topics.topic_of(event).name, topics.key_of(event), codec.encode(event)
    headers = [(topics.SIGNATURE_HEADER, signer.sign(topic, key, value))] if signer else []
    return Again(topic, 0, offset, key, value, headers)


def _settings(stack: Stack, **changed: Any) -> DeliverySettings:
    """Those of the stack's own delivery, but for what is changed."""
    told = {
        name.removeprefix("GATEPOST_").lower(): value
        for name, value in stack.environment.of_service("delivery").items()
    }
    files = {
        name.removesuffix("_file"): Path(told.pop(name)).read_text() for name in list(told) if name.endswith("_file")
    }
    return DeliverySettings(**{"database_pool": CONNECTIONS} | told | files | changed)
