"""Breakers and room, with the simulator as the provider that fails or keeps its callers waiting."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from services.delivery.house import House
from services.delivery.lanes import Lane
from services.delivery.pauses import Pause
from tests.integration.delivery.house import own_house, record, sweeping
from tests.integration.delivery.world import Login, World, until

SLOTS = 8
BROKEN = {"mode": "error"}
WAITS = "SELECT true FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest_asyncio.fixture
async def house(stack: Stack, world: World) -> AsyncIterator[House]:
    async with own_house(stack, slots=SLOTS) as made, sweeping(made):
        yield made
    await world.faults()


async def put(house: House, world: World, *logins: Login, channel: str = "sms") -> None:
    await house.ingest.challenges([record(world.challenge(one, channel=channel)) for one in logins])


async def counts(house: House, channel: str) -> dict[str, int]:
    query = (
        "SELECT state || ' ' || coalesce(reason, '') AS what, count(*) FROM deliveries WHERE channel = $1 GROUP BY 1"
    )
    return {row["what"].strip(): row["count"] for row in await house.pool.fetch(query, channel)}


def sms(house: House) -> Lane:
    return next(lane for lane in house.routing.lanes() if lane.channel.channel == "sms")


async def test_a_provider_that_fails_is_left_alone_within_twenty_calls_and_the_codes_go_by_email(house, world):
    await world.faults(sms={"*": BROKEN})
    asked = await calls(house)
    for _ in range(5):
        await put(house, world, *[Login() for _ in range(8)])

    async def all_fell_back() -> Any:
        return (await counts(house, "email")).get("sent") == 40 or None

    await until(all_fell_back, 20, "forty e-mails")
    assert sms(house).breaker.state != "closed"
    assert await calls(house) - asked <= 20 + SLOTS
    down = await house.pool.fetchval("SELECT count(*) FROM deliveries WHERE reason = 'providers-down'")
    assert down > 0


async def calls(house: House) -> int:
    query = "SELECT count(*) FROM delivery_log WHERE channel = 'sms' AND ms IS NOT NULL"
    return int(await house.pool.fetchval(query))


async def test_it_is_asked_again_and_takes_over_when_it_answers(house, world):
    await world.faults(sms={"*": BROKEN})
    await put(house, world, *[Login() for _ in range(24)])
    await until(lambda: answers(sms(house).breaker.state != "closed"), 15, "an open breaker")
    await world.faults()

    async def probed() -> Any:
        await put(house, world, Login())
        return sms(house).breaker.state == "closed" or None

    await until(probed, 40, "a closed breaker")
    last = Login()
    await put(house, world, last)
    await until(lambda: sent_by(house, last, "sms"), 10, "an SMS")


async def answers(value: Any) -> Any:
    return value or None


async def sent_by(house: House, login: Login, channel: str) -> Any:
    query = "SELECT true FROM deliveries WHERE login_id = $1 AND channel = $2 AND state IN ('sent', 'delivered')"
    return await house.pool.fetchval(query, login.login_id, channel)


async def test_a_slow_provider_holds_no_other_one_back(house, world):
    slow = [Login(email=None) for _ in range(4 * SLOTS)]
    await world.faults(sms={str(one.phone): {"mode": "hang", "seconds": 3} for one in slow})
    account = slow[0].account
    for one in slow:
        await put(house, world, one)
    by_email = [Login(phone=None, account=account) for _ in range(12)]
    start = asyncio.get_running_loop().time()
    await put(house, world, *by_email, channel="email")

    async def all_sent() -> Any:
        return (await counts(house, "email")).get("sent") == len(by_email) or None

    await until(all_sent, 10, "e-mails")
    assert asyncio.get_running_loop().time() - start < 3
    assert any(state.startswith("queued") for state in await counts(house, "sms"))


async def pausing(house: House, pause: Pause, stop: bool = True) -> None:
    """As the API does it, and known to this worker at once."""
    await (house.controls.pause if stop else house.controls.resume)(pause, "test")
    await house.refresh()
    house.sender.wake()


@pytest.mark.parametrize("which", [{"country": "GB"}, {"channel": "sms"}, {"provider": "twilio"}, {}])
async def test_what_is_paused_waits_until_the_last_pause_ends(house, world, which):
    login, other = Login(), Login(phone=None)
    first, second = Pause(), Pause(account=str(login.account), **which)
    await pausing(house, first)
    await put(house, world, login)
    await pausing(house, second)
    await pausing(house, first, stop=False)
    await put(house, world, other, channel="email")
    await until(lambda: sent_by(house, other, "email"), 10, "another account's e-mail")
    await until(lambda: parked(house, login), 10, "it waits")
    await pausing(house, second, stop=False)
    await until(lambda: sent_by(house, login, "sms"), 10, "an SMS")


async def parked(house: House, login: Login) -> Any:
    """Queued, untried, and not due yet."""
    query = "SELECT true FROM deliveries WHERE login_id = $1 AND state = 'queued' AND tries = 0 AND due_at > now()"
    return await house.pool.fetchval(query, login.login_id)


async def test_a_worker_that_heard_of_the_end_of_a_pause_too_late_looks_again(house, world):
    login, pause = Login(), Pause()
    await house.controls.pause(pause, "test")
    await put(house, world, login)
    house.routing.hold([pause])
    await house.controls.resume(pause, "test")
    house.sender.wake()
    await until(lambda: held(house, login), 10, "it was claimed and held back")
    house.routing.hold([])
    await until(lambda: sent_by(house, login, "sms"), 10, "an SMS")


async def held(house: House, login: Login) -> Any:
    query = "SELECT true FROM deliveries WHERE login_id = $1 AND reason = 'paused'"
    return await house.pool.fetchval(query, login.login_id)


async def test_what_is_written_while_a_pause_ends_goes_out_too(house, world):
    """Its statement began under the pause, and the one that woke the others did not see it yet."""
    login, pause = Login(), Pause()
    await put(house, world, login, channel="email")
    await until(lambda: sent_by(house, login, "email"), 10, "an e-mail")
    await pausing(house, pause)
    async with house.pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM logins WHERE login_id = $1 FOR UPDATE", login.login_id)
        writing = asyncio.create_task(put(house, world, login))
        await until(lambda: house.pool.fetchval(WAITS), 10, "the row's writer waits")
        await pausing(house, pause, stop=False)
    await writing
    assert await parked(house, login)
    await house.refresh()
    house.sender.wake()
    await until(lambda: sent_by(house, login, "sms"), 10, "an SMS")


async def test_what_is_paused_for_too_long_ends_as_expired(house, world):
    login = Login(seconds=3)
    await pausing(house, Pause(account=str(login.account)))
    await put(house, world, login)

    async def expired() -> Any:
        return (await counts(house, "sms")).get("expired expired")

    await until(expired, 15, "it expired")
    assert await calls(house) == 0


@pytest.mark.parametrize("broken", [{"slots": 0}, {"per_second": 0}, {"weight": -1}, {"position": 1001}, {}])
async def test_a_limit_that_makes_no_sense_is_refused(world, broken):
    problem = await world.call("PATCH", "/v1/providers/twilio", 400, json=broken)
    assert problem["type"] == "urn:gatepost:bad-request"


async def test_a_limit_is_taken_away_by_null_and_the_list_says_how_it_goes(world):
    limited = await world.call("PATCH", "/v1/providers/twilio", json={"slots": 9, "per_second": 500.5})
    assert (limited["slots"], limited["per_second"]) == (9, 500.5)
    free = await world.call("PATCH", "/v1/providers/twilio", json={"slots": None, "per_second": None})
    assert (free["slots"], free["per_second"], free["enabled"]) == (None, None, True)
    (shown,) = [p for p in (await world.call("GET", "/v1/providers"))["providers"] if p["name"] == "twilio"]
    assert (shown["breaker"], type(shown["under_way"])) == ("closed", int)


async def test_routes_are_set_listed_and_taken_away(world):
    wanted = {"country": "IS", "providers": [{"provider": "twilio", "position": 3, "weight": 2}]}
    shown = {"account": "*", "country": "IS", "provider": "twilio", "position": 3, "weight": 2}
    assert (await world.call("PUT", "/v1/routes", json=wanted))["routes"] == [shown]
    assert shown in (await world.call("GET", "/v1/routes"))["routes"]
    await world.call("PUT", "/v1/routes", json={"country": "IS", "providers": []})
    assert shown not in (await world.call("GET", "/v1/routes"))["routes"]


@pytest.mark.parametrize(
    "broken",
    [
        {"providers": [{"provider": "nobody"}]},
        {"providers": [{"provider": "twilio"}, {"provider": "twilio"}]},
        {"country": "gb", "providers": []},
        {"country": "UK", "providers": [{"provider": "twilio"}]},
        {"country": "GB", "providers": [{"provider": "smtp"}]},
        {"providers": [{"provider": "twilio", "weight": 1001}]},
    ],
)
async def test_routes_that_make_no_sense_are_refused(world, broken):
    assert (await world.call("PUT", "/v1/routes", 400, json=broken))["type"] == "urn:gatepost:bad-request"


async def test_a_provider_that_nobody_has_is_named_with_those_that_there_are(world):
    wanted = {"providers": [{"provider": "twilio"}, {"provider": "vonnage"}]}
    problem = await world.call("PUT", "/v1/routes", 400, json=wanted)
    assert "There is no provider vonnage: one of " in problem["detail"]
    assert "twilio" in problem["detail"]


@pytest.mark.parametrize("broken", [{"provider": "nosuch"}, {"country": "UK"}])
async def test_a_pause_of_what_nobody_has_is_refused(world, broken):
    assert (await world.call("POST", "/v1/deliveries/pause", 400, json=broken))["type"] == "urn:gatepost:bad-request"


async def test_resuming_says_whether_there_was_such_a_pause(world):
    pause = {"country": "IS"}
    assert (await world.call("POST", "/v1/deliveries/resume", json=pause))["ended"] == 0
    await world.call("POST", "/v1/deliveries/pause", json=pause)
    assert (await world.call("POST", "/v1/deliveries/resume", json=pause))["ended"] == 1


async def test_a_provider_that_the_settings_do_not_name_is_listed_as_not_configured(world, place):
    connection = await asyncpg.connect(place.dsn)
    await connection.execute("INSERT INTO providers (name, channel) VALUES ('left-over', 'sms')")
    try:
        rows = (await world.call("GET", "/v1/providers"))["providers"]
    finally:
        await connection.execute("DELETE FROM providers WHERE name = 'left-over'")
        await connection.close()
    assert {row["name"]: row["configured"] for row in rows} == {"twilio": True, "smtp": True, "left-over": False}
