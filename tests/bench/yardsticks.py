"""What the bare libraries do on this machine at this moment: noise shows here too, so a ratio to these says more."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.bench import machine
from tests.bench.figures import Figure, Stopwatch
from tests.bench.machine import Meter
from tests.bench.wire import Client, request
from tests.bench.world import World

SECONDS: Final = 4.0
AT_ONCE: Final = 16
TOPIC: Final = "bench-yardstick"


async def measured(world: World) -> list[Figure]:
    """A bare aiohttp route, a bare asyncpg select, a bare produce."""
    return [await _route(world), await _select(world), await _produce(world)]


async def _route(world: World) -> Figure:
    """One process on one core, the load generator on the other, as in the row of session checks."""
    port = world.spare_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.yardsticks", str(port))
    client = Client(f"http://127.0.0.1:{port}")
    try:
        await _listening(client)
        machine.pin(process.pid, machine.CORES[-1:])
        watch = Stopwatch(Meter({"route": process.pid, "load": machine.own()}))
        call = request("GET", "/")
        with watch:
            await _repeated(watch, lambda: client.send(call), AT_ONCE)
        return watch.figure("yardstick", "bare aiohttp route", "calls/s")
    finally:
        client.close()
        process.terminate()
        await process.wait()


async def _select(world: World) -> Figure:
    """One row by its key, one connection."""
    connection = await asyncpg.connect(world.stack.dsn("gateway"))
    key = world.people[0].user_id
    watch = Stopwatch(Meter({"postgres": world.pids()["postgres"], "load": machine.own()}))
    try:
        with watch:
            await _repeated(watch, lambda: connection.fetchrow("SELECT username FROM users WHERE user_id = $1", key), 1)
    finally:
        await connection.close()
    return watch.figure("yardstick", "bare asyncpg select", "selects/s")


async def _produce(world: World) -> Figure:
    """One record at a time, acknowledged, to a topic that nobody reads."""
    await _topic(world.stack.kafka)
    producer = AIOKafkaProducer(bootstrap_servers=world.stack.kafka, acks="all", enable_idempotence=True, linger_ms=0)
    await producer.start()
    watch = Stopwatch(Meter({"kafka": world.pids()["kafka"], "load": machine.own()}))
    try:
        with watch:
            await _repeated(watch, lambda: producer.send_and_wait(TOPIC, b"x" * 500, key=b"bench"), 1)
    finally:
        await producer.stop()
    return watch.figure("yardstick", "bare produce", "records/s")


async def _topic(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        if TOPIC not in await admin.list_topics():
            await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def _repeated(watch: Stopwatch, call: Callable[[], Awaitable[object]], many: int) -> None:
    until = time.perf_counter() + SECONDS

    async def worker() -> None:
        while (start := time.perf_counter()) < until:
            await call()
            watch.times.append(time.perf_counter() - start)

    await asyncio.gather(*(worker() for _ in range(many)))


async def _listening(client: Client) -> None:
    for _ in range(200):
        try:
            await client.send(request("GET", "/"))
            return
        except OSError:
            await asyncio.sleep(0.05)
    raise TimeoutError("the bare route does not listen")


async def _bare(_: web.Request) -> web.Response:
    return web.Response(body=b'{"active": true}', content_type="application/json")


def main() -> None:
    """`python -m tests.bench.yardsticks <port>`: the bare route."""
    import uvloop

    app = web.Application()
    app.router.add_get("/", _bare)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
