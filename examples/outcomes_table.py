"""A dashboard without any library of Gatepost's: `delivery-outcomes` by plain aiokafka, as a table.

    KAFKA=localhost:19092 python examples/outcomes_table.py

Reads the topic from its beginning to its present end, counts each event once (an event that comes twice has the same
`id`), and prints one row for each provider, channel and country.
"""

import asyncio
import json
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer

TOPIC = "delivery-outcomes"
COLUMNS = ("CodeSent", "CodeDelivered", "DeliveryFailed")
Row = tuple[str, str, str]


async def everything(kafka: str) -> AsyncIterator[dict[str, Any]]:
    """Every record up to the end as it is now; without a group, so that nobody else's reading changes."""
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    yield json.loads(record.value)
    finally:
        await consumer.stop()


async def counted(kafka: str) -> dict[Row, Counter[str]]:
    seen, table = set[str](), defaultdict[Row, Counter[str]](Counter)
    async for event in everything(kafka):
        if event["type"] in COLUMNS and event["id"] not in seen:  # a type of tomorrow is left out
            seen.add(event["id"])
            table[event.get("provider") or "-", event["channel"], event.get("country") or "-"][event["type"]] += 1
    return table


def shown(table: dict[Row, Counter[str]]) -> str:
    lines = [f"{'provider':12}{'channel':9}{'country':9}{'sent':>9}{'delivered':>11}{'failed':>8}"]
    for (provider, channel, country), counts in sorted(table.items()):
        sent, delivered, failed = (counts[name] for name in COLUMNS)
        lines.append(f"{provider:12}{channel:9}{country:9}{sent:9}{delivered:11}{failed:8}")
    return "\n".join(lines)


async def main() -> None:
    print(shown(await counted(os.environ.get("KAFKA", "localhost:19092"))))


if __name__ == "__main__":
    asyncio.run(main())
