"""What begins and ends a session, over real Kafka and over the second road."""

from uuid import uuid4

import msgspec

from schemas import codec
from services.session_store.store import STORE
from tests.integration.session_store.world import Place, World, bearer, expire, length, opened

YEAR_2286 = 9_999_999_999_000


async def test_a_verified_session_is_active_for_its_account_only(world: World):
    made = await world.open()
    own = await world.client(made.event.account_id, "introspect")
    foreign = await world.client(str(uuid4()), "introspect")
    assert (await world.active(made, own), await world.active(made, foreign)) == (True, False)


async def test_an_unsigned_verified_opens_nothing(world: World):
    made, after = world.session(days_old=1), world.session(days_old=1)
    await world.send(world.signed(made.event)._replace(headers={}))
    await world.publish(msgspec.structs.replace(after.event, user_id=made.event.user_id))
    await world.becomes(after, True)
    assert (await world.active(made), await world.stored(made)) == (False, False)


async def test_a_verified_altered_after_signing_opens_nothing(world: World):
    made, after = world.session(days_old=1), world.session(days_old=1)
    admin = codec.encode(msgspec.structs.replace(made.event, role="operator"))
    await world.send(world.signed(made.event)._replace(value=admin))
    await world.publish(msgspec.structs.replace(after.event, user_id=made.event.user_id))
    await world.becomes(after, True)
    assert (await world.active(made), await world.stored(made)) == (False, False)


async def test_a_floor_in_the_year_2286_ends_nothing(world: World):
    made = await world.open(days_old=1)
    after = world.session(days_old=1)
    await world.publish(expire(made, "user", YEAR_2286))
    await world.publish(msgspec.structs.replace(after.event, user_id=made.event.user_id))
    await world.becomes(after, True)
    assert await world.active(made) is True


async def test_clear_all_ends_every_session_of_the_account(world: World):
    first = await world.open(days_old=1)
    second = await world.open(days_old=1, account=first.event.account_id)
    other = await world.open(days_old=1)
    await world.publish(expire(first, "account"))
    await world.becomes(first, False)
    await world.becomes(second, False)
    assert await world.active(other) is True


async def test_a_shorter_length_ends_old_sessions_and_a_longer_one_brings_none_back(world: World):
    old = await world.open(days_old=40)
    young = await world.open(days_old=1, account=old.event.account_id)
    await world.publish(length(old, 30))
    await world.becomes(old, False)
    await world.publish(length(old, 90))
    status, answer = await world.call("POST", "/v1/introspect", data={"token": young.token})
    assert (status, answer["active"], await world.active(old)) == (200, True, False)


async def test_a_revoked_token_is_inactive_at_once_and_stays_so_when_verified_is_repeated(world: World):
    made = await world.open(days_old=1)
    assert (await world.call("POST", "/v1/revoke", data={"token": made.token}))[0] == 200
    assert await world.active(made) is False
    row = world.signed(made.event)
    assert await world.tell(row) == (200, {"applied": 1})
    assert await world.active(made) is False


async def test_a_session_of_audience_gatepost_is_shown_to_internal_clients_only(world: World):
    made = await world.open(aud="gatepost")
    assert await world.active(made, await world.client("*", "introspect")) is False
    status, _ = await world.call("GET", f"/v1/check?account={made.event.account_id}", headers=bearer(made.token))
    assert status == 401


async def test_a_new_token_whose_session_never_arrives_gets_503(world: World):
    assert await world.active(world.session()) == 503


async def test_a_restarted_store_knows_what_was_open_and_what_ended(place: Place, world: World):
    alive, ended = await world.open(days_old=1), await world.open(days_old=1)
    await world.publish(expire(ended, "user"))
    await world.becomes(ended, False)
    async with opened(place, world.producer) as again:
        assert await again.active(alive) is True
        assert await again.active(ended) is False
        assert again.app[STORE] is not world.app[STORE]
