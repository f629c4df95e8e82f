"""Row of fairness: an account's codes while another account's thousand logins are refused by the provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from schemas import topics
from services.platform.clock import new_id
from services.platform.kafka import Connection, Producer
from tests.bench.delivering import PREFIX, Challenges, record
from tests.bench.figures import Figure, Stopwatch
from tests.bench.flow import Flow
from tests.bench.whole import NO_HASH, open_loop, warm
from tests.bench.world import World, settled

LOGINS: Final = 20.0  # the whole path of more of them takes so much of two cores that all wait for a core
LONGER: Final = 2.0
MANY: Final = 1000
MOST: Final = 1.5
BESIDE: Final = {
    "alone": (0.0, ""),
    "beside 1,000 whose SMS goes out": (0.8, ""),
    "beside 1,000 whose SMS is refused": (0.8, PREFIX),
    "beside 1,000 refused at one moment": (0.0, PREFIX),
}


async def neighbours(world: World) -> AsyncIterator[Figure]:
    """The other account's thousand come over four fifths of the time, or all at once; each refused one is an e-mail.
    Those that come at once lie before others in the topic: how long is shown, without a figure to hold.
    """
    flow, alone = Flow(world), 0.0
    await warm(world, flow)
    for name, (share, refused) in BESIDE.items():
        await settled()
        world.provider.refused = refused
        figure = await _beside(world, flow, name, share)
        alone = alone or figure.p99 or 0.0
        if refused and share:
            figure.hold, figure.held = "p99 ≤ 1.5 × alone", (figure.p99 or 1e9) <= MOST * alone
        yield figure
    world.provider.refused = ""
    flow.close()


async def _beside(world: World, flow: Flow, name: str, share: float) -> Figure:
    watch, asked, seconds = Stopwatch(world.meter()), list[float](), LONGER * world.options.seconds
    with watch:
        flood = asyncio.create_task(_flood(world, share * seconds)) if name != "alone" else None
        watch.failed = await open_loop(world, flow, LOGINS, seconds, watch.times, asked)
        if flood is not None:
            await flood
    what = f"login accepted to provider called, {LOGINS:.0f}/s, {name}"
    figure = watch.figure("neighbours", what, "logins/s")
    figure.more["hash"] = NO_HASH
    return figure


async def _flood(world: World, seconds: float) -> None:
    """The events themselves: the gateway's own work for them is not what is compared."""
    producer, made = Producer(Connection(world.stack.kafka), "bench"), Challenges(world, new_id())
    start, sends = time.perf_counter(), list[asyncio.Task[None]]()
    for number in range(MANY):
        await asyncio.sleep(max(0.0, start + number * seconds / MANY - time.perf_counter()))
        sent = producer.send(topics.LOGIN_CHALLENGES.name, *record(made.next()), timeout=30)
        sends.append(asyncio.create_task(sent))
    await asyncio.gather(*sends)
    await producer.stop()
