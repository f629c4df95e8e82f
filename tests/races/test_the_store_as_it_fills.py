"""What ends a session at the very moment at which a store learns of it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from services.session_store.memory import REVOKED_SECONDS, Found
from services.session_store.store import STORE
from tests.integration.gateway_login.world import eventually
from tests.integration.session_store.world import Made, Place, World, expire, length, opened, revoked
from tests.races.conftest import holding

NOBODY_WRITES = "LOCK TABLE sessions IN SHARE ROW EXCLUSIVE MODE"
PASSED = {partition: 2**62 for partition in range(-1, 64)}
ENDS: dict[str, Callable[[Made], Any]] = {
    "revoked": revoked,
    "expired": lambda made: expire(made, "user"),
    "cleared": lambda made: expire(made, "account"),
    "too long": lambda made: length(made, 30),
}


class Gate:
    """The reader's question to Postgres, answered and held at the door."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self._fetch = world.app[STORE].reader._fetch
        self.answered, self.open = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(world.app[STORE].reader, "_fetch", self)

    async def __call__(self, login_id: UUID) -> Found:
        found = await self._fetch(login_id)
        self.answered.set()
        await self.open.wait()
        return found


@pytest.mark.parametrize("how", ENDS)
async def test_what_ends_a_session_while_the_cache_is_filled_with_it_holds_at_once_and_for_ever(
    near: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Also when memory has forgotten the revocation, which it does once Postgres has it."""
    made = near.session(days_old=40)
    await near.tell(near.signed(made.event))
    near.app[STORE].reader.memory.sessions.pop(UUID(made.event.login_id), None)
    gate = Gate(near, monkeypatch)
    asked = asyncio.create_task(near.active(made))
    await gate.answered.wait()
    await near.publish(ENDS[how](made))
    await eventually(lambda: heard(near, made, how))
    gate.open.set()
    assert await asked is False
    near.app[STORE].reader.memory.rules.forget(near.app[STORE].clock.now() + REVOKED_SECONDS + 1, PASSED)
    await eventually(lambda: in_postgres(near, made, how))
    assert await near.active(made) is False


async def heard(world: World, made: Made, how: str) -> bool:
    rules, event = world.app[STORE].reader.memory.rules, made.event
    known: dict[str, Callable[[], bool]] = {
        "revoked": lambda: UUID(event.login_id) in rules.revoked,
        "expired": lambda: rules.floors.get(("user", UUID(event.user_id))) == 2,
        "cleared": lambda: rules.floors.get(("account", UUID(event.account_id))) == 2,
        "too long": lambda: UUID(event.account_id) in rules.policies,
    }
    return known[how]()


async def in_postgres(world: World, made: Made, how: str) -> bool:
    table, ids = {
        "revoked": ("revocations WHERE login_id", made.event.login_id),
        "expired": ("floors WHERE id", made.event.user_id),
        "cleared": ("floors WHERE id", made.event.account_id),
        "too long": ("policies WHERE account_id", made.event.account_id),
    }[how]
    return bool(await world.app[STORE].pool.fetchval(f"SELECT true FROM {table} = $1", UUID(ids)))  # noqa: S608


async def test_a_logout_before_the_writer_knows_the_login_holds_in_every_store_and_after_it_knows(
    store_place: Place, near: World, stores: dict[str, World]
) -> None:
    async with holding(store_place.dsn, NOBODY_WRITES):
        made = near.session()
        await near.publish(made.event)
        await asyncio.gather(*(store.becomes(made, True) for store in stores.values()))
        assert not await near.stored(made)
        assert (await near.call("POST", "/v1/revoke", data={"token": made.token}))[0] == 200
        assert await near.active(made) is False
        await asyncio.gather(*(store.becomes(made, False) for store in stores.values()))
    await eventually(lambda: near.stored(made))
    after = near.session(user=made.event.user_id)  # on the same partition: what is before it was read
    for each in (made, after):
        await near.publish(each.event)
    await asyncio.gather(*(store.becomes(after, True) for store in stores.values()))
    near.app[STORE].reader.memory.rules.forget(near.app[STORE].clock.now() + REVOKED_SECONDS + 1, PASSED)
    assert {name: await store.active(made) for name, store in stores.items()} == dict.fromkeys(stores, False)
    async with opened(store_place, near.producer) as fresh:
        assert await fresh.active(made) is False
    async with opened(store_place._replace(kafka="127.0.0.1:1"), near.producer) as apart:
        assert await apart.active(made) is False


async def test_a_verified_that_carries_old_epochs_is_dead_in_every_store_whichever_comes_first(
    near: World, stores: dict[str, World]
) -> None:
    """Verify and Clear all at the same moment: the floor may be written, read and answered before the session is."""
    late, early = near.session(account_epoch=5, user_epoch=5), near.session(account_epoch=5, user_epoch=5)
    await near.publish(expire(late, "account", 6))
    await near.publish(early.event)
    await asyncio.gather(*(store.becomes(early, True) for store in stores.values()))
    for event in (late.event, expire(early, "user", 6)):
        await near.publish(event)
    for made in (late, early):
        await asyncio.gather(*(store.becomes(made, False) for store in stores.values()))
        await eventually(partial(near.stored, made))
        answers = {name: await store.active(made) for name, store in stores.items()}
        assert answers == dict.fromkeys(stores, False)
