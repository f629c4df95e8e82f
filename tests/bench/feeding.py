"""Row of a platform that feeds: batches of logins by HTTP, verified by their references."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import aiohttp

from tests.bench.figures import Figure, Stopwatch
from tests.bench.flow import expect
from tests.bench.wire import Client
from tests.bench.world import World, settled

BATCH: Final = 50
AT_ONCE: Final = 4


async def feed(world: World) -> AsyncIterator[Figure]:
    """Batches of 50, four at once; every code is verified."""
    headers, gateway = await _client(world), world.client("gateway")
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


async def _client(world: World) -> dict[str, str]:
    """Feeding needs a client of the one account."""
    gateway = world.client("gateway")
    body = {"name": "feeder", "scopes": ["feed"], "account": str(world.account)}
    made = expect(await gateway.call("POST", "/v1/clients", body, world.basic()), 201)
    gateway.close()
    return {"Authorization": aiohttp.encode_basic_auth(made["client_id"], made["client_secret"])}


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
