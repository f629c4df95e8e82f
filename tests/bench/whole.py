"""Rows of the whole path: many at once, one at a time, from the login to the provider's call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from tests.bench.figures import Figure, Stopwatch, percentile, shown
from tests.bench.flow import Flow, Strayed, at_once
from tests.bench.world import World, settled

AT_ONCE: Final = 64
LOGINS: Final = 100.0
NO_HASH: Final = "no password hash: Argon2id with 512 KiB and one pass, 0.2 ms"


async def flows(world: World) -> AsyncIterator[Figure]:
    """64 at once, then one at a time."""
    flow = Flow(world)
    await warm(world, flow)
    for many, seconds in ((AT_ONCE, world.options.seconds), (1, world.options.seconds / 2)):
        await settled()
        watch = Stopwatch(world.meter())
        with watch:
            watch.failed = await at_once(world, flow.play, many, seconds, watch.times)
        memory = shown(world.memory())
        yield _whole(watch, "flows", many, memory=memory) if many > 1 else _whole(watch, "one", many, memory=memory)
    flow.close()


def _whole(watch: Stopwatch, row: str, many: int, **more: Any) -> Figure:
    what = f"login, code, verify, active: {many} at once" if many > 1 else "the same, one at a time"
    figure = watch.figure(row, what, "flows/s", **more)
    figure.more["hash"] = NO_HASH
    if many > 1:
        figure.hold, figure.held = "200/s, p99 < 400 ms", figure.rate >= 200 and (figure.p99 or 1e9) < 400
    else:
        figure.hold, figure.held = "p50 < 20 ms", (figure.p50 or 1e9) < 20
    return figure


async def handover(world: World) -> AsyncIterator[Figure]:
    """Logins at a fixed rate, whatever comes back: from the 202 to the provider's call, and from the request to it."""
    flow = Flow(world)
    await warm(world, flow)
    await settled()
    watch, asked = Stopwatch(world.meter()), list[float]()
    with watch:
        watch.failed = await open_loop(world, flow, LOGINS, world.options.seconds, watch.times, asked)
    figure = watch.figure("handover", f"login accepted to provider called, {LOGINS:.0f}/s", "logins/s")
    figure.more |= {"hash": NO_HASH, "asked_to_called_ms": _both(asked)}
    figure.hold = "p50 < 20 ms, p99 < 100 ms"
    figure.held = (figure.p50 or 1e9) < 20 and (figure.p99 or 1e9) < 100
    flow.close()
    yield figure


def _both(times: list[float]) -> dict[str, float]:
    return {"p50": round(percentile(times, 0.5) * 1000, 2), "p99": round(percentile(times, 0.99) * 1000, 2)}


async def open_loop(
    world: World, flow: Flow, rate: float, seconds: float, accepted: list[float], asked: list[float]
) -> int:
    """So many logins a second, whatever comes back; gives how many strayed."""
    tasks, start, strayed = list[asyncio.Task[None]](), time.perf_counter(), 0

    async def one() -> None:
        nonlocal strayed
        begun = time.perf_counter()
        try:
            login, sent = await flow.begin(world.person())
            answered = time.perf_counter()
            code, called = await asyncio.wait_for(sent, 10)
            accepted.append(max(0.0, called - answered))
            asked.append(called - begun)
            await flow.verify(login, code)
        except (Strayed, TimeoutError):
            strayed += 1

    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one()))
    await asyncio.gather(*tasks)
    return strayed


async def warm(world: World, flow: Flow) -> None:
    """Kafka compiles itself while it runs, statements are prepared: not what is measured."""
    with world.out.status("warming up …"):
        await at_once(world, flow.play, 32, world.options.warm, [])
