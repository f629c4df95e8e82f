"""Whether Kafka and Postgres answer others, asked by connections that are made for it."""

import asyncio
from typing import Final

import asyncpg
from aiokafka.errors import KafkaError

from services.delivery.settings import DeliverySettings
from services.delivery.watchdog import Stall
from services.platform.kafka import Connection, cluster_id
from services.platform.postgres import AWAY

ANSWER_SECONDS: Final = 5.0  # well under the watchdog's patience: while it asks, nothing beats


async def others_answer(settings: DeliverySettings, stall: Stall) -> bool:
    """Whether what a stuck worker waits for answers somebody else. A write waits for the broker too: for the log's
    next records, and for a dead letter to be safe.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await cluster_id(Connection.of(settings))
            if stall == "no-advance":
                await (await asyncpg.connect(settings.database.get_secret_value(), timeout=2)).close(timeout=2)
    except (*AWAY, KafkaError):
        return False
    return True
