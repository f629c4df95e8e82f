"""Two stores, one database: what one of them commits ends sessions in the other, though Kafka never gets it."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from schemas.events import ClientChanged
from services.platform import clients
from services.platform.auth import hash_secret
from services.session_store.neighbours import CHANNEL, TELL, TRUSTED_SECONDS
from services.session_store.reader import FIND
from services.session_store.store import STORE
from tests.integration.gateway_login.world import Road
from tests.integration.session_store.world import (
    Made,
    Place,
    World,
    by_second_road,
    envelope,
    expire,
    length,
    opened,
    revoked,
)

NOBODY = "127.0.0.1:1"
ENDS: dict[str, Callable[[Made], Any]] = {
    "a user's": lambda made: expire(made, "user"),
    "the account's": lambda made: expire(made, "account"),
    "a length": lambda made: length(made, 30),
    "a tombstone": revoked,
}


@pytest_asyncio.fixture(scope="module")
async def mute(place: Place, world: World) -> AsyncIterator[World]:
    """A store whose sends never get through: what it takes and revokes stays in Postgres."""
    async with opened(place._replace(kafka=NOBODY), world.producer) as made:
        yield made


async def known_to(world: World, **how: Any) -> Made:
    """A session that `world` answers for from memory."""
    await until(world.app[STORE].reader.current)
    made = await world.open(days_old=40, **how)
    assert UUID(made.event.login_id) in world.app[STORE].reader.memory.sessions
    return made


async def until(holds: Callable[[], bool], seconds: float = 15) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("end", ENDS)
async def test_what_one_store_takes_by_the_second_road_ends_sessions_in_every_other(
    world: World, mute: World, end: str
):
    made, other = await known_to(world), await known_to(world)
    assert await mute.tell(mute.signed(ENDS[end](made))) == (200, {"applied": 1})
    await world.becomes(made, False, seconds=2)
    assert world.app[STORE].reader.current()
    assert await world.active(other) is True


async def test_an_unknown_event_that_one_store_takes_stops_the_account_in_every_other(world: World, mute: World):
    made = await known_to(world)
    assert await mute.tell(mute.unheard_of(made.event.account_id)) == (200, {"applied": 1})
    await world.becomes(made, 503, seconds=2)


@pytest.mark.parametrize("call", ["revoke", "delete"])
async def test_a_session_ended_at_one_store_is_over_in_every_other(world: World, mute: World, call: str):
    made = await known_to(world)
    ending = {
        "revoke": lambda: mute.call("POST", "/v1/revoke", data={"token": made.token}),
        "delete": lambda: mute.call("DELETE", f"/v1/sessions/{made.event.login_id}"),
    }
    asked = asyncio.create_task(ending[call]())  # its answer waits for Kafka
    await world.becomes(made, False, seconds=2)
    assert (await asked)[0] == 200


async def test_a_batch_longer_than_one_notification_ends_all_that_it_names(world: World, mute: World):
    made = [await known_to(world) for _ in range(3)]
    strangers = [world.session(days_old=1) for _ in range(450)]
    ends = [expire(each, "user") for each in (*made[:1], *strangers[:225], made[1], *strangers[225:], made[2])]
    events = [event for end in ends for event in by_second_road_of(mute, end)]
    assert await mute.call("POST", "/v1/events", json={"events": events}) == (200, {"applied": len(ends)})
    for each in made:
        await world.becomes(each, False, seconds=5)


def by_second_road_of(world: World, event: Any) -> Any:
    return by_second_road(world.signed(event))["events"]


async def test_a_notification_that_names_nothing_readable_has_everything_read_again(place: Place, world: World):
    made = await known_to(world)
    connection = await asyncpg.connect(place.dsn)
    try:
        floor = "INSERT INTO floors (scope, id, floor) VALUES ('user', $1, 9)"
        await connection.execute(floor, UUID(made.event.user_id))
        await connection.execute(TELL, CHANNEL, "what is this")
    finally:
        await connection.close()
    await world.becomes(made, False, seconds=2)


@pytest.mark.parametrize("end", ENDS)
async def test_a_store_that_lost_its_road_to_postgres_trusts_no_memory_until_it_has_caught_up(
    place: Place, world: World, mute: World, end: str
):
    async with Road.to(place.dsn) as road, opened(place._replace(dsn=road.dsn), world.producer) as far:
        made = await known_to(far)
        road.close()
        await until(lambda: not far.app[STORE].reader.current(), seconds=5)
        assert await mute.tell(mute.signed(ENDS[end](made))) == (200, {"applied": 1})
        assert await far.active(made) == 503
        road.reopen()
        await until(far.app[STORE].reader.current, seconds=15)
        assert await far.active(made) is False


async def test_a_connection_that_falls_silent_is_noticed(place: Place, world: World):
    async with Road.to(place.dsn) as road, opened(place._replace(dsn=road.dsn), world.producer) as far:
        await known_to(far)
        road.hold()
        await until(lambda: not far.app[STORE].reader.current(), seconds=5)
        road.let_go()
        await until(far.app[STORE].reader.current, seconds=15)


async def test_a_check_from_memory_asks_postgres_nothing(world: World):
    made = await known_to(world)
    store, asked = world.app[STORE], list[str]()
    token = store.read(made.token)
    assert token is not None
    for holder in store.pool._holders:  # type: ignore[attr-defined]
        if holder._con is not None:
            holder._con.add_query_logger(lambda record: asked.append(record.query))
    assert all([await store.reader.alive(token) for _ in range(50)])
    assert FIND not in asked
    store.reader.memory.sessions.clear()
    assert await store.reader.alive(token)
    assert FIND in asked


async def test_while_postgres_refuses_everybody_memory_answers_and_knows_its_clients(
    place: Place, world: World, mute: World
):
    async with Road.to(place.dsn) as road, opened(place._replace(dsn=road.dsn), world.producer) as far:
        made, other = await known_to(far), await known_to(far)
        changed = await far.client("*", "introspect")
        assert await far.active(made, changed) is True
        await road.refuse()
        await until(longer_than(TRUSTED_SECONDS + clients.CACHE_SECONDS))
        await becomes(lambda: far.active(made, changed), True)
        await world.publish(disabled(changed))
        await becomes(lambda: far.active(made, changed), 401)
        await world.publish(expire(other, "user"))
        await far.becomes(other, False)
        await road.accept()
        assert await mute.tell(mute.signed(expire(made, "user"))) == (200, {"applied": 1})
        await far.becomes(made, False)
        await until(far.app[STORE].reader.current)
        assert await far.active(made, changed) == 401


def longer_than(seconds: float) -> Callable[[], bool]:
    begun = asyncio.get_running_loop().time()
    return lambda: asyncio.get_running_loop().time() - begun > seconds


def disabled(headers: dict[str, str]) -> ClientChanged:
    client_id, secret = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode().split(":")
    return ClientChanged(
        **envelope("*"),
        client_id=client_id,
        secret_hash=base64.urlsafe_b64encode(hash_secret(secret)).decode(),
        account="*",
        scopes=("introspect",),
        enabled=False,
        revision=2,
    )


async def becomes(asked: Callable[[], Any], wanted: object, seconds: float = 15) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while (found := await asked()) != wanted:
        assert asyncio.get_running_loop().time() < deadline, f"it stayed {found}"
        await asyncio.sleep(0.05)
