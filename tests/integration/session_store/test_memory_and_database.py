"""What memory keeps, what Postgres keeps, and what is dropped from either."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.platform.kafka import Connection, follower
from services.platform.keys.grants import Verifier
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import Token
from services.session_store.clock import DatabaseClock
from services.session_store.memory import REVOKED_SECONDS
from services.session_store.neighbours import Neighbours
from services.session_store.purge import chores
from services.session_store.reader import Reader
from services.session_store.store import STORE
from tests.integration.session_store.world import Made, Place, World, expire, length, opened, revoked

AGE_REVOCATION = "UPDATE revocations SET revoked_at = now() - $2::int * interval '1 day' WHERE login_id = $1"


async def until(asked: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not await asked():
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.05)


def login_of(made: Made) -> UUID:
    return UUID(made.event.login_id)


async def ended(world: World, **how: Any) -> Made:
    """A session that was revoked, in Postgres."""
    made = await world.open(days_old=1, **how)
    assert (await world.call("POST", "/v1/revoke", data={"token": made.token}))[0] == 200
    return made


async def test_memory_forgets_a_revocation_only_when_it_is_old_and_the_writer_passed_it(world: World):
    made = world.session(days_old=1)
    reader, clock = world.app[STORE].reader, world.app[STORE].clock
    await world.publish(made.event)
    await world.becomes(made, True)
    await world.publish(revoked(made))
    await world.becomes(made, False)
    await until(lambda: tombstone(world, made))
    known = reader.memory.rules.revoked
    await reader.forget()
    assert login_of(made) in known
    passed = {partition: 2**62 for partition in range(12)}
    known_at = known[login_of(made)].at
    reader.memory.rules.forget(known_at + REVOKED_SECONDS + 1, {})
    assert login_of(made) in known
    reader.memory.rules.forget(known_at + REVOKED_SECONDS + 1, passed)
    assert login_of(made) not in known
    assert known_at <= clock.now()
    assert await world.active(made) is False


async def tombstone(world: World, made: Made) -> bool:
    query = "SELECT true FROM revocations WHERE login_id = $1"
    return bool(await world.app[STORE].pool.fetchval(query, login_of(made)))


async def test_a_start_reads_recent_revocations_only_and_the_old_ones_still_count(place: Place, world: World):
    old, recent = await ended(world), await ended(world)
    await world.app[STORE].pool.execute(AGE_REVOCATION, login_of(old), 1)
    async with opened(place, world.producer) as again:
        await until(lambda: is_current(again))
        known = again.app[STORE].reader.memory.rules.revoked
        assert (login_of(old) in known, login_of(recent) in known) == (False, True)
        await world.publish(old.event)  # a late repetition finds nothing in memory that speaks against it
        assert (await again.active(old), await again.active(recent)) == (False, False)
        marker = await world.open(user=old.event.user_id, days_old=1)  # the same partition: what is before it was read
        await again.becomes(marker, True)
        assert await again.active(old) is False


async def is_current(world: World) -> bool:
    return world.app[STORE].reader.current()


class Interrupted:
    """A real follower, with something happening between the snapshot and the change of memories."""

    def __init__(self, consumer: Any, meanwhile: Callable[[], Awaitable[Any]]) -> None:
        self._consumer = consumer
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    async def end_offsets(self, partitions: Any) -> Any:
        await self._meanwhile()
        return await self._consumer.end_offsets(partitions)


@pytest.mark.parametrize("end", [revoked, lambda made: expire(made, "user", 7)], ids=["revoked", "expired"])
async def test_what_is_committed_while_a_snapshot_is_read_is_not_lost(place: Place, world: World, end: Any):
    made = await world.open(days_old=1)
    async with opened(place, world.producer) as again:
        await until(lambda: is_current(again))
        consumer = follower(Connection(place.kafka), "gatepost-test-interrupted")
        reader = again.app[STORE].reader
        try:
            await reader._begin(Interrupted(consumer, lambda: again.tell(again.signed(end(made)))))
        finally:
            await consumer.stop()
        rules, user = reader.memory.rules, UUID(made.event.user_id)
        assert login_of(made) in rules.revoked or rules.floors.get(("user", user)) == 7
        assert await again.active(made) is False


async def purge(world: World) -> None:
    async with world.app[STORE].pool.acquire() as connection:
        for chore in chores(world.app[STORE].clock, 30):
            while (await chore.step(connection, 200)).more:
                pass


async def test_sessions_are_purged_a_week_after_their_length_ended_and_not_because_they_are_revoked(world: World):
    long = world.session(days_old=120)
    await world.publish(length(long, 365, days_ago=200))
    done, gone, short = world.session(days_old=98), world.session(days_old=8, aud="gatepost"), world.session(days_old=9)
    await world.publish(length(short, 1, days_ago=300))
    fresh, ended_now = world.session(days_old=96), await ended(world)
    for made in (long, done, gone, short, fresh):
        await world.tell(world.signed(made.event))
    await until(lambda: measured(world, long, short))
    await purge(world)
    kept = [await world.stored(made) for made in (long, done, gone, short, fresh, ended_now)]
    assert kept == [True, False, False, False, True, True]


async def measured(world: World, *made: Made) -> bool:
    accounts = [UUID(each.event.account_id) for each in made]
    query = "SELECT count(DISTINCT account_id) FROM policies WHERE account_id = ANY($1::uuid[])"
    return bool(await world.app[STORE].pool.fetchval(query, accounts) == len(accounts))


async def test_tombstones_go_when_no_session_could_live_so_long_and_floors_stay(world: World):
    pool = world.app[STORE].pool
    old, young = await ended(world), await ended(world)
    await world.tell(world.signed(expire(old, "account", 3)))
    await pool.execute(AGE_REVOCATION, login_of(old), 367)
    await pool.execute(AGE_REVOCATION, login_of(young), 365)
    await purge(world)
    assert (await tombstone(world, old), await tombstone(world, young)) == (False, True)
    assert await pool.fetchval("SELECT floor FROM floors WHERE id = $1", UUID(old.event.account_id)) == 3


async def test_nobody_is_alive_before_the_databases_clock_was_measured(place: Place, world: World):
    verifier = Verifier(Keyrings(place.keys / "session-store").secret("grants.pub"))
    store = world.app[STORE]
    clock = DatabaseClock(store.pool)
    reader = Reader(store.pool, clock, Connection(place.kafka), verifier, Neighbours(place.dsn), 1000)
    reader.away = True
    made = await world.open(days_old=1)
    token: Token | None = store.read(made.token)
    assert token is not None
    with pytest.raises(RuntimeError, match="not measured"):
        await reader.alive(token)
    await clock.measure()
    found = await reader.alive(token)
    assert found is not None
    assert found.session.login_id == login_of(made)
    assert abs(clock.now() - store.clock.now()) < 1


async def test_another_clock_of_this_machine_changes_no_age(world: World, monkeypatch: pytest.MonkeyPatch):
    made = await world.open(days_old=89, account=str(uuid4()))
    monkeypatch.setattr("time.time", lambda: 4_000_000_000.0)
    assert await world.active(made) is True
