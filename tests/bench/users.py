"""Row of what the same costs with more and more users: a login fed by either road, and the check of a session."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from tests.bench import feeding
from tests.bench import sessions as store
from tests.bench.figures import Figure, Stopwatch
from tests.bench.flow import Flow
from tests.bench.seed import Person
from tests.bench.whole import warm
from tests.bench.wire import Client
from tests.bench.world import World, settled

ROADS: Final = {"fed by the topic": feeding.written, "fed by HTTP": feeding.posted}
CODE_SECONDS: Final = 120  # longer than a step is measured, shorter than anybody waits for the next
LONGEST: Final = 300.0
PENDING: Final = "SELECT count(*) FROM logins WHERE account_id = $1 AND state = 'pending'"

Road = Callable[[World, dict[str, str], Sequence[Person], str], Awaitable[None]]


async def users(world: World) -> AsyncIterator[Figure]:
    """Each time of anybody among all of them, and as many sessions as there are users. A fed login is over with its
    call to the provider; those of a step are closed before the next one is measured.
    """
    flow, made = Flow(world), await feeding.feeder(world, code_seconds=CODE_SECONDS)
    for count in world.options.growth_users:
        await world.add_users(count)
        await warm(world, flow)
        for name, road in ROADS.items():
            yield await _fed(world, made, road, f"{name}, {count:,} users")
        for figure in await _checked(world, count):
            yield figure
        await _closed(world)
    flow.close()


async def _fed(world: World, made: dict[str, str], road: Road, what: str) -> Figure:
    people = random.sample(world.people, min(world.options.fed, len(world.people)))
    await settled()
    watch, enough = Stopwatch(world.meter()), world.provider.calls + len(people)
    with watch:
        await road(world, made, people, f"users-{time.monotonic_ns()}")
        until = time.perf_counter() + LONGEST
        while world.provider.calls < enough:
            if time.perf_counter() > until:
                raise TimeoutError(f"{enough - world.provider.calls} codes did not come")
            await asyncio.sleep(0.01)
    return watch.figure("users", what, "logins/s", len(people))


async def _checked(world: World, count: int) -> list[Figure]:
    """The first check of a session, which reads it, and those that follow; by a process that knows none before."""
    sessions = await store.loaded(world, count)
    await world.run_instead("session-store", world.usual("session-store"))
    numbers = random.sample(range(count), min(store.TOKENS, count))
    calls, client = [sessions.asking(number) for number in numbers], world.client("session-store")
    store.apart(world)
    first, more = Stopwatch(world.meter()), Stopwatch(world.meter())
    with first:
        await _asked_once(client, calls, first.times)
    with more:
        more.failed = await store.asked(client, calls, world.options.seconds, more.times)
    store.together(world)
    client.close()
    return [
        first.figure("users", f"first check of a session, {count:,} users", "checks/s"),
        more.figure("users", f"session check, {count:,} users", "checks/s"),
    ]


async def _asked_once(client: Client, calls: list[bytes], times: list[float]) -> None:
    left = iter(calls)

    async def worker() -> None:
        for call in left:
            start = time.perf_counter()
            await client.send(call)
            times.append(time.perf_counter() - start)

    await asyncio.gather(*(worker() for _ in range(store.CHECKERS)))


async def _closed(world: World) -> None:
    """Until no login of the account waits for its code."""
    owner = await world.owner("gateway")
    try:
        with world.out.status("logins end …"):
            while await owner.fetchval(PENDING, world.account):  # noqa: ASYNC110 - it is the gateway that ends them
                await asyncio.sleep(1)
    finally:
        await owner.close()
