"""A worker ends itself only while what it waits for answers others: asked of a real broker and database."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

import pytest
from pydantic import SecretStr

from services.delivery.postgres.others import others_answer
from services.delivery.settings import DeliverySettings
from services.delivery.watchdog import PATIENCE, Stall
from tests.integration.delivery.conftest import Place

STALLS = get_args(Stall)


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """Something that takes connections and never answers, as a frozen server does; gives its address."""
    over = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        server.close()


def settings(place: Place, **changed: str) -> DeliverySettings:
    given = {"kafka": place.kafka, "dsn": place.dsn} | changed
    database, keys = SecretStr(given["dsn"]), place.keys / "delivery"
    return DeliverySettings(kafka=given["kafka"], database=database, keys=keys, smtp_host="127.0.0.1")


@pytest.mark.parametrize("stall", STALLS)
async def test_when_broker_and_database_answer_the_worker_is_to_blame(place: Place, stall: Stall) -> None:
    assert await others_answer(settings(place), stall)


@pytest.mark.parametrize("stall", STALLS)
async def test_a_frozen_broker_is_no_fault_of_the_worker_and_is_known_before_the_watch_runs_out(
    place: Place, stall: Stall
) -> None:
    async with silent() as one, silent() as two, silent() as three:
        started = time.monotonic()
        assert not await others_answer(settings(place, kafka=f"{one},{two},{three}"), stall)
    assert time.monotonic() - started < PATIENCE


async def test_a_frozen_database_is_no_fault_of_a_worker_that_writes(place: Place) -> None:
    async with silent() as there:
        asked = settings(place, dsn=f"postgresql://nobody:x@{there}/none")
        assert not await others_answer(asked, "no-advance")
        assert await others_answer(asked, "no-fetch-answer")
