"""One run: people come, something breaks under them, it heals, everything ends; then the record is complete."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

import aiohttp

from deploy.local.people import Api
from tests.faults.load import SMS, GaveUp, Load, Visit, by_code, introspect, mix, without_second_factor
from tests.faults.recorder import collect, offsets_seen
from tests.faults.records import Moment, Record
from tests.faults.site import Site
from tests.faults.town import Person, Town
from tests.faults.waiting import Backlog, all_is_told

GIVE_UP_SECONDS: Final = 60.0


class Fault(NamedTuple):
    """`act` returns at its end: from then on the system may heal."""

    name: str
    act: Callable[[Town], Awaitable[None]]


@dataclass(frozen=True)
class Plan:
    """From which seed who comes, how many a second: at least `least` and at most `most`, `before` of them unharmed."""

    seed: int
    least: int = 24
    most: int = 300
    rate: float = 6.0
    before: int = 6
    kinds: Sequence[str] = ()
    heal_within: float = 30.0
    settle: float = 30.0
    code_seconds: int = 60


@asynccontextmanager
async def town_on(site: Site, plan: Plan) -> AsyncIterator[Town]:
    timeout, connector = aiohttp.ClientTimeout(total=40), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        api = Api(http, site.stack.environment.urls(), site.stack.client())
        record = Record(plan.seed, heal_within=plan.heal_within)
        town = Town(site, http, api, record, random.Random(plan.seed))
        while not await site.is_whole():  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        await town.settle_in(plan.code_seconds)
        post = asyncio.create_task(town.read_post())
        try:
            yield town
        finally:
            post.cancel()
            await asyncio.gather(post, return_exceptions=True)
            await town.faults_over()


async def play(site: Site, plan: Plan, faults: Sequence[Fault]) -> Record:
    """Everything that the checker needs to know of these faults, one after the other under one load."""
    async with town_on(site, plan) as town, offsets_seen(site.stack, town.record):
        load = Load(town, list(plan.kinds) or mix(town.dice, plan.most), plan.rate, plan.least)
        await load.prepare()
        probes = await town.people(town.account, [SMS, {}] * 40)
        running = asyncio.create_task(load.run())
        patrol = asyncio.create_task(keep_asking(town))
        try:
            await begun(load, plan.before, running)
            for fault in faults:
                await suffer(town, fault)
            load.is_enough = True
            if faults:
                await heal(town, probes)
            await running
            await end_everything(town, plan.settle)
        finally:
            for task in (running, patrol):
                task.cancel()
            await asyncio.gather(running, patrol, return_exceptions=True)
        await collect(town)
    return town.record


async def begun(load: Load, count: int, running: "asyncio.Task[None]") -> None:
    while load.started < count and not running.done():  # noqa: ASYNC110 - it is polled, like everything here
        await asyncio.sleep(0.02)


async def suffer(town: Town, fault: Fault) -> None:
    began = time.time()
    await fault.act(town)
    town.record.faults.append(Moment(fault.name, began, time.time()))


async def heal(town: Town, probes: list[Person]) -> None:
    """Until a login of each kind goes through and nothing waits that the fault held up; leaves when."""
    deadline, backlog = time.monotonic() + GIVE_UP_SECONDS, Backlog(town)
    while time.monotonic() < deadline and probes:
        coded, plain = probes.pop(0), probes.pop(0)
        if await _goes_through(town, coded, plain) and await backlog.is_gone():
            town.record.healed = time.time()
            return
        await asyncio.sleep(0.3)


async def _goes_through(town: Town, coded: Person, plain: Person) -> bool:
    until = time.monotonic() + 5
    visits = by_code(Visit(town, coded, until)), without_second_factor(Visit(town, plain, until))
    results = await asyncio.gather(*visits, return_exceptions=True)
    for error in results:
        if isinstance(error, BaseException) and not isinstance(error, GaveUp):
            raise error
    return not any(results)


async def keep_asking(town: Town) -> None:
    """Ask about tokens that were given out, old and new, ten a second, until cancelled."""
    while True:
        given = [c for c in town.record.calls if c.status == 200 and "token" in c.body]
        if given:
            one = town.dice.choice(given)
            await introspect(town, str(one.body["token"]), str(one.login_id))
        await asyncio.sleep(0.1)


async def end_everything(town: Town, settle: float) -> None:
    """*Clear all*: no login stays open, no session lives; then wait until all of it was told."""
    path = f"/v1/accounts/{town.account}/expire-sessions"
    await town.call("expire-account", town.account, "gateway", path, {"confirm": town.account})
    deadline = time.monotonic() + settle
    while time.monotonic() < deadline and not await all_is_told(town):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    await _ask_all(town)


async def _ask_all(town: Town) -> None:
    """Once every session is dead, or has had the time to be."""
    tokens = {c.login_id: str(c.body["token"]) for c in town.record.calls if c.status == 200 and "token" in c.body}
    deadline = time.monotonic() + 4
    while tokens and time.monotonic() < deadline:
        asked = await asyncio.gather(*(introspect(town, token, str(of)) for of, token in tokens.items()))
        tokens = {c.login_id: tokens[c.login_id] for c in asked if c.body.get("active") is not False}
        await asyncio.sleep(0.2)
