"""Kafka away: what begins and ends by the second road does so in every process of the store, and stays so."""

import asyncio
from typing import Any

from deploy.local.stack import Stack
from services.platform.outbox import OutboxRow
from services.session_store.store import STORE
from tests.integration.gateway_login.world import Road, eventually
from tests.integration.session_store.world import Made, Place, World, expire, length, opened, revoked
from tests.races.conftest import Process, stopped, store_process

NOBODY = "127.0.0.1:1"
HOLD = "UPDATE outbox SET parked = 'held by a test' WHERE key = ANY($1::bytea[])"
RELEASE = "UPDATE outbox SET parked = NULL WHERE parked = 'held by a test'"


async def test_what_one_store_takes_by_the_second_road_ends_sessions_in_the_others(near: World, far: Process) -> None:
    """As when only the gateway is cut off from Kafka: the other stores are current and look nowhere else."""
    made = [await near.open(days_old=40) for _ in range(3)]
    ends = [expire(made[0], "user"), expire(made[1], "account"), length(made[2], 30)]
    for each, end in zip(made, ends, strict=True):
        await far.world.becomes(each, True)
        assert await near.tell(near.signed(end)) == (200, {"applied": 1})
        assert await near.active(each) is False
    for each in made:
        await far.world.becomes(each, False, seconds=5)


async def feed(world: World) -> str:
    return str((await world.call("GET", "/readyz"))[1].get("feed"))


async def is_so(stores: dict[str, World], wanted: str) -> bool:
    return {await feed(each) for each in stores.values()} == {wanted}


async def test_with_kafka_away_sessions_begin_and_end_in_every_store_and_its_return_brings_none_back(
    stack: Stack, store_place: Place, near: World, stores: dict[str, World]
) -> None:
    """Nothing of it is on the topic when Kafka is back: the outbox is held. A store is started meanwhile, too."""
    before = {what: await near.open(days_old=40) for what in ("expired", "revoked", "too long", "alive")}
    for each in before.values():
        await everywhere(stores, each, True)
    async with opened(store_place._replace(kafka=NOBODY), near.producer) as apart:
        with stopped(stack.child("kafka")):
            await eventually(lambda: is_so(stores, "behind"))
            begun = await told(apart, stores, before)
            async with store_process(stack, near) as late:
                await answers_are({"late": late.world}, before, begun)
            await answers_are(stores, before, begun)
        await never_alive_again(stores, list(before.values())[:3])
        await answers_are(stores, before, begun)
        await near.app[STORE].pool.execute(RELEASE)


async def told(apart: World, stores: dict[str, World], before: dict[str, Made]) -> Made:
    """By the second road, to a store that Kafka does not reach; what it would send on is held back."""
    begun = apart.session()
    ends = (expire(before["expired"], "account"), revoked(before["revoked"]), length(before["too long"], 30))
    rows = [apart.signed(event) for event in (begun.event, *ends)]
    for row in rows:
        assert await apart.tell(row) == (200, {"applied": 1})
    await hold(apart, rows)
    return begun


async def hold(world: World, rows: list[OutboxRow]) -> None:
    await world.app[STORE].pool.execute(HOLD, [row.key for row in rows])


async def answers_are(stores: dict[str, World], before: dict[str, Made], begun: Made) -> None:
    wanted = {"expired": False, "revoked": False, "too long": False, "alive": True, "begun": True}
    for name, store in stores.items():
        found = {what: await store.active(each) for what, each in (before | {"begun": begun}).items()}
        assert found == wanted, name


async def everywhere(stores: dict[str, World], made: Made, wanted: bool) -> None:
    await asyncio.gather(*(store.becomes(made, wanted) for store in stores.values()))


async def never_alive_again(stores: dict[str, World], ended: list[Made]) -> None:
    """From Kafka's return until every store answers from memory again, and then too."""

    async def settled() -> bool:
        heard: list[Any] = [await store.active(each) for store in stores.values() for each in ended]
        assert True not in heard
        return await is_so(stores, "current")

    await eventually(settled, seconds=40)
    assert not [each for each in ended for store in stores.values() if await store.active(each)]


async def test_a_store_that_neither_kafka_nor_postgres_reaches_says_503_and_mends_itself(
    store_place: Place, near: World
) -> None:
    made = await near.open(days_old=1)
    await eventually(lambda: near.stored(made))
    async with Road.to(store_place.dsn) as road:
        place = store_place._replace(kafka=NOBODY, dsn=road.dsn)
        async with opened(place, near.producer) as apart:
            assert await apart.active(made) is True
            road.close()
            assert await apart.active(made) == 503
            road.reopen()
            await apart.becomes(made, True)
