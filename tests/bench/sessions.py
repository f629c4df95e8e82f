"""Rows of the session store: checks, Clear all, memory."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from deploy.local.postgres import OWNER
from deploy.local.processes import Child, Program
from tests.bench import machine, seed
from tests.bench.figures import Figure, Stopwatch, shown
from tests.bench.wire import Client, request
from tests.bench.world import ACCOUNT, FOLDER, World

CHECKERS: Final = 32
CLEARS: Final = 3
CACHED: Final = 300_000
TOKENS: Final = 20_000
USERS: Final = 1_000_000  # who have them, the one after the other
TABLE: Final = "sessions"
INDEXES: Final = ("sessions_user", "sessions_age", "sessions_account")


class Loaded:
    """The sessions that were brought in, and how to ask for one."""

    def __init__(self, world: World, account: UUID, epoch: int) -> None:
        self._world = world
        self.count = 0
        self.rows = seed.Sessions(world.rings(), account, USERS, epoch)
        self._headers = world.basic() | {"Content-Type": "application/x-www-form-urlencoded"}

    async def up_to(self, count: int) -> None:
        """COPY into the table, its indexes but the key's made afterwards."""
        owner, have = await self._world.owner("session-store"), self.count
        made = await owner.fetch("SELECT indexdef FROM pg_indexes WHERE indexname = ANY($1::text[])", INDEXES)
        for name in INDEXES:
            await owner.execute(f"DROP INDEX {name}")
        try:
            await self._load(have, count)
            with self._world.out.status("indexes …"):
                for row in made:
                    await owner.execute(row["indexdef"])
        finally:
            await owner.close()
        self.count = count

    async def _load(self, have: int, count: int) -> None:
        with self._world.out.status("sessions …") as status:

            def told(done: int) -> None:
                status.update(f"sessions … {have + done:,} of {count:,}")

            batches = seed.in_batches(count - have, lambda first, n: self.rows.rows(have + first, n), told)
            await seed.load(self._world.stack.dsn("session-store", OWNER), TABLE, seed.SESSION, batches)

    def token(self, number: int) -> str:
        return self.rows.token(self.rows.login_id(number), self.rows.born(number))

    def asking(self, number: int) -> bytes:
        """The whole request."""
        body = urlencode({"token": self.token(number)}).encode()
        return request("POST", "/v1/introspect", body, self._headers)


async def loaded(world: World, count: int) -> Loaded:
    """An account of its own in the gateway, and that many sessions of it in the store."""
    if world.sessions is None:
        world.sessions = Loaded(world, world.account, await _epoch(world))
    if world.sessions.count < count:
        await world.sessions.up_to(count)
    found: Loaded = world.sessions
    return found


async def _epoch(world: World) -> int:
    owner = await world.owner("gateway")
    try:
        return int(await owner.fetchval("SELECT epoch FROM accounts WHERE account_id = $1", world.account))
    finally:
        await owner.close()


async def checks(world: World) -> AsyncIterator[Figure]:
    """Introspection over HTTP, one session store on one core of its own, everything else on the others."""
    sessions = await loaded(world, world.options.sessions)
    calls = [sessions.asking(random.randrange(sessions.count)) for _ in range(TOKENS)]
    client = world.client("session-store")
    with world.out.status("warming up …"):
        for call in calls:
            await client.send(call)
    apart(world)
    watch = Stopwatch(world.meter())
    with watch:
        watch.failed = await asked(client, calls, world.options.seconds, watch.times)
    together(world)
    figure = watch.figure("checks", "session check by HTTP, one process on one core", "checks/s")
    figure.hold, figure.held = "6,000/s, p99 < 15 ms", figure.rate >= 6000 and (figure.p99 or 1e9) < 15
    figure.memory = shown(world.memory())
    client.close()
    yield figure


async def asked(client: Client, calls: list[bytes], seconds: float, times: list[float]) -> int:
    until, failed = time.perf_counter() + seconds, 0

    async def worker(place: int) -> None:
        nonlocal failed
        while (start := time.perf_counter()) < until:
            place = (place + 1) % len(calls)
            answer = await client.send(calls[place])
            times.append(time.perf_counter() - start)
            failed += b'"active":true' not in answer.body

    await asyncio.gather(*(worker(number * len(calls) // CHECKERS) for number in range(CHECKERS)))
    return failed


def apart(world: World) -> None:
    """The session store on the last core, everything else on the others."""
    cores = machine.CORES
    for name, pid in world.pids().items():
        machine.pin(pid, cores[-1:] if name == "session-store" else cores[:-1] or cores)


def together(world: World) -> None:
    for pid in world.pids().values():
        machine.pin(pid, machine.CORES)


async def memory(world: World) -> AsyncIterator[Figure]:
    """A process started over that many sessions, after it has answered for many of them: its cache is full."""
    sessions = await loaded(world, world.options.sessions)
    await world.run_instead("session-store", world.usual("session-store"))
    fresh = machine.memory(world.pids()["session-store"])
    client = world.client("session-store")
    watch = Stopwatch(world.meter())
    with world.out.status("filling the cache …"), watch:
        await _filled(client, sessions, watch.times)
    client.close()
    figure = watch.figure("memory", f"session store with {sessions.count:,} sessions, cache full", "first checks/s")
    figure.memory = shown(world.memory())
    full = figure.memory["session-store"]["rss"]
    figure.hold, figure.held = "< 400 MB", full * machine.MIB / 1e6 < 400
    figure.more = {
        "full_mb": full * machine.MIB / 1e6,
        "started_rss": round(fresh.rss / machine.MIB, 1),
        "full_rss": full,
        "cached": CACHED,
    }
    yield figure


async def _filled(client: Client, sessions: Loaded, times: list[float]) -> None:
    numbers = iter(range(min(CACHED + 10_000, sessions.count)))

    async def worker() -> None:
        for number in numbers:
            start = time.perf_counter()
            await client.send(sessions.asking(number))
            times.append(time.perf_counter() - start)

    await asyncio.gather(*(worker() for _ in range(16)))


async def clear(world: World) -> AsyncIterator[Figure]:
    """`Clear all` by the API until the last of two session store processes says inactive."""
    for count in world.options.clear:
        yield await _cleared(world, count)


async def _cleared(world: World, count: int) -> Figure:
    sessions = await loaded(world, count)
    watch, said, left = Stopwatch(world.meter()), list[dict[str, Any]](), 0
    with watch:
        for _ in range(CLEARS):
            async with second_store(world) as other:
                places = [world.client("session-store"), Client(other)]
                said.append(await _clear_once(world, places, sessions, watch.times))
                left += said[-1].pop("left")
            await _alive_again(world)
    figure = watch.figure("clear", f"Clear all, effective in two processes, {count:,} sessions", "clears/s")
    watch.failed = figure.failed = left
    figure.rate, figure.cpu, figure.busy = 0.0, {}, {}  # starting the processes is what the time between went into
    figure.more = {"answers": said}
    figure.hold, figure.held = "< 1 s", (figure.worst or 1e9) < 1000 and not left
    return figure


async def _clear_once(world: World, places: list[Client], sessions: Loaded, times: list[float]) -> dict[str, Any]:
    numbers = [random.randrange(sessions.count) for _ in range(200)]
    for place in places:
        if not all([await _active(place, sessions, number) for number in numbers]):
            raise RuntimeError("a loaded session is not active")
    path, gateway = f"/v1/accounts/{world.account}/expire-sessions", world.client("gateway")
    start = time.perf_counter()
    until = [asyncio.create_task(_until_inactive(place, sessions, numbers[0])) for place in places]
    answer = await gateway.call("POST", path, {"confirm": ACCOUNT}, world.basic())
    answered = time.perf_counter() - start
    times.append(max(await asyncio.gather(*until)) - start)
    left = sum([await _active(place, sessions, number) for place in places for number in numbers])
    for client in (*places, gateway):
        client.close()
    return {"answered_ms": round(answered * 1000, 2), "effective": answer.json()["effective"], "left": left}


async def _active(client: Client, sessions: Loaded, number: int) -> bool:
    return b'"active":true' in (await client.send(sessions.asking(number))).body


async def _until_inactive(client: Client, sessions: Loaded, number: int) -> float:
    """When this process first said so."""
    deadline = time.perf_counter() + 30
    while await _active(client, sessions, number):
        if time.perf_counter() > deadline:
            raise TimeoutError("Clear all took no effect within 30 s")
        await asyncio.sleep(0.001)
    return time.perf_counter()


async def _alive_again(world: World) -> None:
    """The floor is taken out of the database and the process begins anew: the next row needs the sessions too."""
    owner = await world.owner("session-store")
    await owner.execute("DELETE FROM floors")
    await owner.close()
    await world.run_instead("session-store", world.usual("session-store"))


@asynccontextmanager
async def second_store(world: World) -> AsyncIterator[str]:
    """Another process of the same store; gives its address."""
    port = world.spare_port()
    url = f"http://127.0.0.1:{port}"
    usual = world.stack.environment.of_service("session-store")
    environment = {**usual, "GATEPOST_HTTP_PORT": str(port), "GATEPOST_PUBLIC_URL": url}

    async def ready() -> bool:
        client = Client(url)
        try:
            return b'"feed":"current"' in (await client.call("GET", "/readyz")).body
        finally:
            client.close()

    child = Child(
        Program("session-store-2", world.usual("session-store"), ready, environment), FOLDER / "state" / "logs"
    )
    await child.start()
    try:
        yield url
    finally:
        await child.stop()
