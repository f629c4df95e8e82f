"""Events by HTTP when Kafka is silent: the same checks, the same effects; and a store that Kafka does not reach."""

import base64
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.integration.session_store.world import Place, World, by_second_road, opened, revoked

NOBODY = "127.0.0.1:1"


@pytest_asyncio.fixture(scope="module")
async def cut_off(place: Place, world: World) -> AsyncIterator[World]:
    """A store whose feed is never current: it answers from Postgres."""
    async with opened(place._replace(kafka=NOBODY), world.producer) as made:
        yield made


async def test_the_second_road_needs_no_kafka_and_checks_signatures(cut_off: World):
    made, forged = cut_off.session(days_old=1), cut_off.session(days_old=1)
    bad = base64.urlsafe_b64encode(bytes(65)).decode()
    assert await cut_off.tell(cut_off.signed(made.event)) == (200, {"applied": 1})
    assert (await cut_off.tell(cut_off.signed(forged.event), bad))[0] == 400
    assert (await cut_off.active(made), await cut_off.active(forged)) == (True, False)


async def test_nothing_of_a_batch_is_applied_when_one_event_is_bad(world: World):
    good, forged = world.session(days_old=1), world.session(days_old=1)
    events = by_second_road(world.signed(good.event))["events"]
    events += by_second_road(world.signed(forged.event)._replace(key=b"another"))["events"]
    status, problem = await world.call("POST", "/v1/events", json={"events": events})
    assert (status, problem["type"]) == (400, "urn:gatepost:bad-event")
    assert await world.stored(good) is False


@pytest.mark.parametrize("road", ["topic", "second road"])
async def test_a_signed_event_of_unknown_type_stops_its_account_and_no_other(world: World, road: str):
    stopped, other = await world.open(days_old=1), await world.open(days_old=1)
    row = world.unheard_of(stopped.event.account_id)
    if road == "topic":
        await world.send(row)
    else:
        assert await world.tell(row) == (200, {"applied": 1})
    await world.becomes(stopped, 503)
    assert await world.active(other) is True
    status, _ = await world.call("GET", f"/v1/sessions?account={stopped.event.account_id}")
    assert status == 503


async def test_a_stopped_account_is_stopped_in_a_store_that_kafka_does_not_reach(world: World, cut_off: World):
    made = await world.open(days_old=1)
    assert (await cut_off.tell(cut_off.unheard_of(made.event.account_id)))[0] == 200
    assert await cut_off.active(made) == 503


async def test_a_new_token_that_was_revoked_is_inactive_without_a_wait_while_the_feed_is_behind(cut_off: World):
    known, only_revoked = cut_off.session(), cut_off.session()
    await cut_off.tell(cut_off.signed(known.event))
    assert await cut_off.active(known) is True
    for made in (known, only_revoked):
        assert await cut_off.tell(cut_off.signed(revoked(made))) == (200, {"applied": 1})
    assert (await cut_off.active(known), await cut_off.active(only_revoked)) == (False, False)


async def test_a_session_is_described_and_listed_while_the_feed_is_behind(cut_off: World):
    made = cut_off.session(days_old=1)
    await cut_off.tell(cut_off.signed(made.event))
    status, told = await cut_off.call("POST", "/v1/introspect", data={"token": made.token})
    listed = (await cut_off.call("GET", f"/v1/sessions?account={made.event.account_id}"))[1]
    assert (status, told["exp"] - told["iat"]) == (200, 90 * 86_400)
    assert [row["login_id"] for row in listed["sessions"]] == [made.event.login_id]


async def test_the_second_road_is_closed_to_clients_without_internal(world: World):
    headers = await world.client("*", "introspect", "operate")
    sent = by_second_road(world.signed(world.session(account=str(uuid4())).event))
    assert (await world.call("POST", "/v1/events", json=sent, headers=headers))[0] == 403
