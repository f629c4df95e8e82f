"""Row of the password login: what of bare hashing's rate is left when everything else is done too."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import argon2

from tests.bench.figures import Figure, Stopwatch
from tests.bench.flow import Flow, at_once
from tests.bench.seed import PASSWORD, Person
from tests.bench.world import CHEAP, World, settled

AT_ONCE: Final = 16
PLAIN: Final = 2_000


async def passwords(world: World) -> AsyncIterator[Figure]:
    """Sign-ins of users without a second factor, Argon2id as it is; beside it bare hashing on as many threads."""
    hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    people = await world.add_plain(PLAIN, hasher.hash(PASSWORD))
    await world.run_instead("gateway", world.usual("gateway"))
    flow, places = Flow(world), iter(range(10**9))

    async def play(_: Person) -> float:
        start = time.perf_counter()
        await flow.sign_in(people[next(places) % len(people)])
        return time.perf_counter() - start

    await at_once(world, play, AT_ONCE, 3, [])
    await settled()
    before = await _bare(hasher, world.options.seconds / 3)
    watch = Stopwatch(world.meter())
    with watch:
        watch.failed = await at_once(world, play, AT_ONCE, world.options.seconds, watch.times)
    after = await _bare(hasher, world.options.seconds / 3)
    await world.run_instead("gateway", CHEAP)
    flow.close()
    bare = (before + after) / 2
    figure = watch.figure("passwords", "password login, Argon2id 19 MiB, 2 passes", "logins/s")
    figure.ratio["bare hashing"] = round(figure.rate / bare, 3)
    figure.more = {"bare_hashes_per_second": round(bare, 1)}
    figure.hold, figure.held = "90 % of bare hashing", figure.rate >= 0.9 * bare
    yield figure


async def _bare(hasher: argon2.PasswordHasher, seconds: float) -> float:
    """Comparisons a second with as many threads as cores and nothing else to do."""
    stored, threads = hasher.hash(PASSWORD), os.cpu_count() or 1
    until = time.perf_counter() + seconds

    def work() -> int:
        done = 0
        while time.perf_counter() < until:
            hasher.verify(stored, PASSWORD)
            done += 1
        return done

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        loop = asyncio.get_running_loop()
        counts = await asyncio.gather(*(loop.run_in_executor(pool, work) for _ in range(threads)))
    return sum(counts) / (time.perf_counter() - start)
