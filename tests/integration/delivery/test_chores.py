"""A login goes with its messages and their steps; dead letters and replays by their age."""

from functools import partial
from uuid import UUID

import msgspec

from services.delivery.house import House
from services.platform.clock import new_id
from services.platform.keys.contacts import search_hash
from tests.integration.delivery.house import own_house, record, sweeping
from tests.integration.delivery.test_guard import put, settled, verify
from tests.integration.delivery.world import Login, until

STORIES = """
WITH made AS (
    INSERT INTO logins (login_id, account_id, user_id, expires_at)
    SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now() - $2 * interval '1 day'
    FROM generate_series(1, $1::int) RETURNING *
), messages AS (
    INSERT INTO deliveries (id, login_id, channel, cause, account_id, user_id, state, sealed, sealed_event,
        sealed_cause, masked, code_key_id, digits, begun_at, challenged_at, expires_at)
    SELECT gen_random_uuid(), login_id, channel, 'login', account_id, user_id, 'delivered', 'x', 'LoginChallenged',
        'login', '', 1, 6, expires_at, expires_at, expires_at FROM made, unnest(ARRAY['sms', 'email']) channel
    RETURNING *
)
INSERT INTO delivery_log (login_id, delivery_id, what)
SELECT login_id, id, what FROM messages, unnest(ARRAY['queued', 'sent', 'delivered']) what
"""
LETTERS = """
INSERT INTO dead_letters (id, topic, partition, "offset", reason, key, sealed, at)
SELECT gen_random_uuid(), 'logins', 0, n, 'no-json', $3, '', now() - $2 * interval '1 day'
FROM generate_series(1, $1::int) n
"""
REPLAYS = """
INSERT INTO replays (account_id, id, by, filter, counts, state, at, ended_at)
SELECT $4, $1 || n, 'test', '{}', '{}', $3, now() - $2 * interval '1 day', now() - $2 * interval '1 day'
FROM generate_series(1, 5) n
"""


async def counts(house: House, *tables: str) -> list[int]:
    return [await house.pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608


async def test_what_is_too_old_goes_with_all_that_hangs_on_it(stack) -> None:
    async with own_house(stack) as house:
        await house.pool.execute(STORIES, 4_000, 31.0)
        await house.pool.execute(STORIES, 50, 29.0)
        await house.pool.execute(LETTERS, 40, 31.0, b"")
        await house.pool.execute(LETTERS, 30, 29.0, b"")
        await house.pool.execute(REPLAYS, "old-", 91.0, "done", "*")
        await house.pool.execute(REPLAYS, "new-", 89.0, "stopped", "*")
        await house.housekeeping.look()
        assert await counts(house, "logins", "deliveries", "delivery_log") == [50, 100, 300]
        assert await counts(house, "dead_letters", "replays") == [30, 5]


async def test_an_erased_users_contacts_go_also_those_that_come_late(stack, world) -> None:
    account, user = new_id(), new_id()
    one, late, other = (Login(account=account, user=whose) for whose in (user, user, new_id()))
    async with own_house(stack, guard_mode="enforce") as house, sweeping(house):
        await put(house, world, [one, other])
        await settled(house, "sms", 2)
        await verify(house, world, [one, other])
        await house.pool.execute(LETTERS, 3, 0.0, str(user).encode())
        await house.pool.execute(LETTERS, 1, 0.0, str(other.user).encode())
        await erase(house, world, one)
        await put(house, world, [late])  # on its way while the user was erased

        await until(partial(empty, house, user), 60, "no contact of the user")
        rows = await house.pool.fetch("SELECT * FROM deliveries WHERE user_id = $1", user)
        assert {row["login_id"] for row in rows} == {one.login_id, late.login_id}
        kept = ("masked_email", "recipient", "prefixes", "locale", "origin")
        assert all(row["masked"] == "" and not any(row[name] for name in kept) for row in rows)
        assert await house.pool.fetchval("SELECT count(*) FROM dead_letters") == 1
        theirs = await house.pool.fetchrow("SELECT * FROM deliveries WHERE user_id = $1", other.user)
        assert theirs is not None
        assert all(theirs[name] for name in ("sealed", "masked", "recipient"))
        assert [await proven(house, each) for each in (other, one)] == [True, False]


async def test_a_number_that_somebody_else_has_now_goes_on_being_known(stack, world) -> None:
    one, other = Login(), Login()
    shared = Login(phone=one.phone, account=other.account, user=other.user)
    async with own_house(stack, guard_mode="enforce") as house, sweeping(house):
        await put(house, world, [one, shared])
        await settled(house, "sms", 2)
        await verify(house, world, [one, shared])
        assert await proven(house, one)
        await erase(house, world, one)
        await until(partial(empty, house, one.user), 60, "no contact of the user")
        assert await proven(house, shared)
        gone = "SELECT count(*) FROM deliveries WHERE user_id = $1 AND recipient IS NOT NULL"
        assert await house.pool.fetchval(gone, one.user) == 0
        assert await house.pool.fetchval(gone, other.user) == 1


async def empty(house: House, user: UUID) -> bool | None:
    """Whether nothing is left, once the chore has looked. Nobody waits 25 s for a receipt that does not come here."""
    await house.pool.execute(
        "UPDATE deliveries SET due_at = now() WHERE state NOT IN ('queued', 'sending') AND due_at > now()"
    )
    await house.pool.execute("UPDATE erasures SET due_at = now()")
    await house.pool.execute("UPDATE chores SET due_at = now()")
    await house.housekeeping.look()
    left = "SELECT count(*) FROM deliveries WHERE user_id = $1 AND (sealed <> '' OR recipient IS NOT NULL)"
    return not await house.pool.fetchval(left, user) or None


async def erase(house: House, world, login: Login) -> None:
    event = msgspec.structs.replace(world.expire_all(login), erased=True)
    await house.ingest.sessions([record(event, signer=world.signer)])


async def proven(house: House, login: Login) -> bool:
    number = search_hash(house.ingest._secrets.search, "phone", str(login.phone))
    return bool(await house.pool.fetchval("SELECT count(*) FROM guard_proven WHERE recipient = $1", number))
