"""A delivery in this process, on real Kafka, Postgres and simulator. Its database is its own, so no other worker takes
its rows; nobody feeds or sweeps it but the test.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local.postgres import DATABASES, OWNER
from deploy.local.stack import Stack
from schemas import codec, topics
from schemas.events import Event
from services.delivery.dead_letters import Again
from services.delivery.house import House, build
from services.delivery.settings import DeliverySettings
from services.platform import migrate
from services.platform.keys.grants import Signer


@asynccontextmanager
async def own_house(stack: Stack, **changed: Any) -> AsyncIterator[House]:
    """Built and not started; `changed` are settings."""
    async with _database(stack) as dsn:
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


def record(event: Event, offset: int = 0, signer: Signer | None = None) -> Again:
    topic, key, value = topics.topic_of(event).name, topics.key_of(event), codec.encode(event)
    headers = [(topics.SIGNATURE_HEADER, signer.sign(topic, key, value))] if signer else []
    return Again(topic, 0, offset, key, value, headers)


@asynccontextmanager
async def _database(stack: Stack) -> AsyncIterator[str]:
    name, role = f"ledger_{os.urandom(4).hex()}", DATABASES["delivery"]
    admin = await asyncpg.connect(stack.postgres.dsn("postgres", "postgres"))
    try:
        await admin.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
        await migrate.apply(stack.postgres.dsn(name, OWNER), "delivery")
        yield stack.postgres.dsn(name, role)
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()


def _settings(stack: Stack, **changed: Any) -> DeliverySettings:
    """Those of the stack's own delivery, but for what is changed."""
    told = {
        name.removeprefix("GATEPOST_").lower(): value
        for name, value in stack.environment.of_service("delivery").items()
    }
    files = {
        name.removesuffix("_file"): Path(told.pop(name)).read_text() for name in list(told) if name.endswith("_file")
    }
    return DeliverySettings(**told | files | changed)
