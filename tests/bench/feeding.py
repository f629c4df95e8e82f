"""Rows of a platform that feeds: batches by HTTP, verified by their references; a flood by the topic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from tests.bench.figures import Figure, Stopwatch
from tests.bench.flow import expect
from tests.bench.seed import Person
from tests.bench.wire import Client
from tests.bench.world import World, settled
from tests.feeding import Writer, items, producing

BATCH: Final = 50
AT_ONCE: Final = 4
BUDGET: Final = 600_000  # the row measures the gateway, not the budget
LONGEST: Final = 180.0
SLICE: Final = 500
# How long after its password step each was opened, by one machine's clock.
LAGS: Final = """
SELECT extract(epoch FROM created_at - auth_time)::float8 FROM logins WHERE account_id = $1 AND reference LIKE $2
"""


async def feed(world: World) -> AsyncIterator[Figure]:
    """Batches of 50, four at once; every code is verified."""
    headers, gateway = authorization(await feeder(world)), world.client("gateway")
    await settled()
    watch = Stopwatch(world.meter())
    until = time.perf_counter() + world.options.seconds

    async def worker() -> None:
        while time.perf_counter() < until:
            watch.times += await _batch(world, gateway, headers)

    with watch:
        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    gateway.close()
    yield watch.figure("feed", f"fed login, code, verify: batches of {BATCH}", "flows/s")


async def by_topic(world: World) -> AsyncIterator[Figure]:
    """All at once: the rate is that of the gateway, the times are how long a login waited in Kafka."""
    count, prefix = world.options.fed, f"flood-{time.monotonic_ns()}"
    made, people = await feeder(world), [world.person() for _ in range(count)]
    connection = await world.owner("gateway")
    await settled()
    watch = Stopwatch(world.meter())
    with watch:
        await written(world, made, people, prefix)
        until = time.perf_counter() + LONGEST
        while len(lags := await connection.fetch(LAGS, world.account, f"{prefix}%")) < count:
            if time.perf_counter() > until:
                raise TimeoutError(f"{len(lags)} of {count} logins were opened")
            await asyncio.sleep(0.2)
    await connection.close()
    watch.times = [lag for (lag,) in lags]
    yield watch.figure("feed-topic", f"fed by the topic: {count:,} at once, opened", "logins/s")


async def written(world: World, made: dict[str, str], people: Sequence[Person], prefix: str) -> None:
    """A login of each of them to the topic, as fast as Kafka takes it."""
    users = [person.user_id for person in people]
    async with producing(world.stack.kafka) as producer:
        writer = Writer(producer, world.account, made["client_id"], made["client_secret"])
        for start in range(0, len(users), SLICE):
            await writer.feed(*items(users[start : start + SLICE], f"{prefix}-{start}"))


async def posted(world: World, made: dict[str, str], people: Sequence[Person], prefix: str) -> None:
    """A login of each of them by HTTP, in batches of 50, four at once."""
    gateway, headers = world.client("gateway"), authorization(made)
    starts = iter(range(0, len(people), BATCH))

    async def worker() -> None:
        for start in starts:
            users = [person.user_id for person in people[start : start + BATCH]]
            body = {"logins": items(users, f"{prefix}-{start}")}
            expect(await gateway.call("POST", "/v1/feed/logins", body, headers), 200)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    gateway.close()


def authorization(made: dict[str, str]) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(made["client_id"], made["client_secret"])}


async def feeder(world: World, **settings: int) -> dict[str, str]:
    """Feeding needs a client of the one account."""
    gateway = world.client("gateway")
    body: dict[str, Any] = {"settings": {"feed_per_minute": BUDGET} | settings}
    expect(await gateway.call("PATCH", f"/v1/accounts/{world.account}", body, world.basic()), 200)
    body = {"name": "feeder", "scopes": ["feed"], "account": str(world.account)}
    made: dict[str, str] = expect(await gateway.call("POST", "/v1/clients", body, world.basic()), 201)
    gateway.close()
    return made


async def _batch(world: World, gateway: Client, headers: dict[str, str]) -> list[float]:
    loop, start = asyncio.get_running_loop(), time.perf_counter()
    people = [world.person() for _ in range(BATCH)]
    codes = {person.phone: loop.create_future() for person in people}
    world.provider.waiting.update(codes)
    now = datetime.now(UTC).isoformat()
    items = [
        {"reference": f"{person.username}-{time.monotonic_ns()}", "user": {"user_id": str(person.user_id)},
         "authenticated_at": now}
        for person in people
    ]  # fmt: skip
    expect(await gateway.call("POST", "/v1/feed/logins", {"logins": items}, headers), 200)

    async def finish(reference: str, phone: str) -> float:
        code, _ = await asyncio.wait_for(codes[phone], 10)
        path = f"/v1/feed/logins/{reference}/verify"
        expect(await gateway.call("POST", path, {"code": code}, headers), 200)
        return time.perf_counter() - start

    pairs = zip(items, people, strict=True)
    return list(await asyncio.gather(*(finish(str(item["reference"]), p.phone) for item, p in pairs)))
