"""Rows that take long: what the same costs as users and sessions grow, and whether anything grows by itself (soak)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from tests.bench import sessions as store
from tests.bench.figures import Figure, Stopwatch, shown
from tests.bench.flow import Flow, Strayed, at_once
from tests.bench.machine import MIB
from tests.bench.whole import AT_ONCE, warm
from tests.bench.world import World, settled

STEP_SECONDS: Final = 60.0
FEW_SESSIONS: Final = "5000"


async def growth(world: World) -> AsyncIterator[Figure]:
    """The whole path with more and more users; checks, memory and Clear all with more and more sessions."""
    flow = Flow(world)
    for users in world.options.growth_users:
        await world.add_users(users)
        await warm(world, flow)
        await settled()
        watch = Stopwatch(world.meter())
        with watch:
            watch.failed = await at_once(world, flow.play, AT_ONCE, world.options.seconds, watch.times)
        yield watch.figure("growth", f"login, code, verify, active: {users:,} users", "flows/s")
    flow.close()
    for count in world.options.growth_sessions:
        world.options.sessions, world.options.clear = count, [count]
        for row in (store.checks, store.memory, store.clear):
            async for figure in row(world):
                figure.row, figure.hold, figure.held = "growth", "", None
                if str(f"{count:,}") not in figure.what:
                    figure.what += f", {count:,} sessions"
                yield figure


async def soak(world: World) -> AsyncIterator[Figure]:
    """Half the rate that 64 at once reach, for minutes: memory and descriptors of each process, every minute. The
    session store may keep few sessions in memory, so that it is full before the first minute is over.
    """
    await world.run_instead("session-store", world.usual("session-store"), GATEPOST_CACHED_SESSIONS=FEW_SESSIONS)
    flow = Flow(world)
    await warm(world, flow)
    rate = world.options.rate or await _half(world, flow)
    watch, samples = Stopwatch(world.meter()), [shown(world.memory())]
    _tell(world, 0, samples[-1])
    with watch:
        load = asyncio.create_task(_paced(world, flow, rate, world.options.minutes * 60, watch.times))
        for minute in range(1, world.options.minutes + 1):
            await asyncio.sleep(STEP_SECONDS)
            samples.append(shown(world.memory()))
            _tell(world, minute, samples[-1])
        watch.failed = await load
    flow.close()
    figure = watch.figure("soak", f"{world.options.minutes} minutes at {rate:.0f} flows/s", "flows/s")
    figure.more = {"samples": samples, "slopes": slopes(samples)}
    figure.memory = samples[-1]
    yield figure


async def _half(world: World, flow: Flow) -> float:
    times: list[float] = []
    start = time.perf_counter()
    await at_once(world, flow.play, AT_ONCE, 15, times)
    return len(times) / (time.perf_counter() - start) / 2


async def _paced(world: World, flow: Flow, rate: float, seconds: float, times: list[float]) -> int:
    """Flows at a fixed rate; never more than four times `AT_ONCE` under way."""
    room, tasks, failed, start = asyncio.Semaphore(4 * AT_ONCE), set[asyncio.Task[None]](), 0, time.perf_counter()

    async def one() -> None:
        nonlocal failed
        try:
            times.append(await flow.play(world.person()))
        except (Strayed, TimeoutError):
            failed += 1
        finally:
            room.release()

    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        await room.acquire()
        task = asyncio.create_task(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return failed


def slopes(samples: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """For each process what grows by the minute, over the second half: MiB of memory, descriptors."""
    half = samples[len(samples) // 2 :]
    kinds = ("rss", "pss", "descriptors")
    return {name: {kind: slope([each[name][kind] for each in half]) for kind in kinds} for name in half[0]}


def slope(values: Sequence[float]) -> float:
    """Of the straight line that fits best, for a step of one."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    spread = sum((place - middle) ** 2 for place in range(len(values)))
    return round(sum((p - middle) * (v - mean) for p, v in enumerate(values)) / spread, 3) if spread else 0.0


def _tell(world: World, minute: int, sample: dict[str, dict[str, float]]) -> None:
    parts = [f"{name} {each['pss']:.0f} MiB {each['descriptors']:.0f} fd" for name, each in sample.items()]
    world.out.print(f"minute {minute:3}: " + " · ".join(parts), highlight=False)


__all__ = ["MIB", "Any", "growth", "soak"]
