"""The pumping guard on real Postgres, with the simulator as the provider that is pumped."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from deploy.local.stack import Stack
from services.delivery.gate import shown_info
from services.delivery.guard import Own
from services.delivery.house import House
from services.delivery.postgres.guard import NAMED_FROM
from services.delivery.postgres.guarding import PostgresGuarding
from services.platform.clock import new_id
from tests.integration.delivery.conftest import Place, client
from tests.integration.delivery.house import beside, listening, own_house, record, sweeping
from tests.integration.delivery.world import Login, World, until

BLOCK = 447911_000_000


@asynccontextmanager
async def guarded(stack: Stack, **changed: Any) -> AsyncIterator[House]:
    settings = {"guard_mode": "enforce", "guard_number_types": "premium-rate"} | changed
    async with own_house(stack, **settings) as house, sweeping(house):
        yield house


def guarding(house: House) -> PostgresGuarding:
    return PostgresGuarding(house.pool, house.settings.guard_window)


async def served(house: House, world: World, place: Place) -> Callable[..., Awaitable[Any]]:
    """The calls of that house, for a client of all accounts."""
    auth = await client(replace(place, dsn=house.settings.database.get_secret_value()), "*", ["operate"])
    house.serving = await listening(house)
    port = house.serving.port
    own = replace(world, url=f"http://127.0.0.1:{port}", auth=auth)
    return own.call


def neighbours(first: int, count: int, account: UUID, **more: Any) -> list[Login]:
    return [Login(phone=f"+{BLOCK + first + n}", account=account, **more) for n in range(count)]


async def put(house: House, world: World, logins: list[Login], **more: Any) -> None:
    await house.ingest.challenges([record(world.challenge(one, **more)) for one in logins])


async def settled(house: House, channel: str, count: int, seconds: float = 60) -> Counter[str]:
    """What the rows of a channel came to, once there are so many and none waits."""
    query = "SELECT state, coalesce(reason, '') AS reason, count(*) FROM deliveries WHERE channel = $1 GROUP BY 1, 2"

    async def there() -> Counter[str] | None:
        rows = await house.pool.fetch(query, channel)
        waiting = sum(row["count"] for row in rows if row["state"] in ("queued", "sending"))
        found = Counter({f"{row['state']} {row['reason']}".strip(): row["count"] for row in rows})
        return found if not waiting and found.total() == count else None

    found: Counter[str] = await until(there, seconds, f"{count} {channel} settled")
    return found


async def verify(house: House, world: World, logins: list[Login], **changes: Any) -> None:
    events = [msgspec.structs.replace(world.verified(one), **changes) for one in logins]
    await house.ingest.sessions([record(event, signer=world.signer) for event in events])


async def texted(world: World, logins: list[Login]) -> set[str]:
    """The numbers of those that the provider took an SMS for."""
    async with world.http.get(f"{world.inbox}/messages", params={"channel": "sms"}) as answer:
        got = {message["to"] for message in (await answer.json())["messages"]}
    return got & {str(one.phone) for one in logins}


async def test_a_thousand_neighbours_that_never_convert_get_fifty_sms_at_most_by_two_workers(stack, world):
    """Their account refuses those whose e-mail is off."""
    account = new_id()
    pumped = neighbours(129_500, 400, account) + neighbours(129_900, 600, account, email_off=True)
    honest = neighbours(900_000, 60, account)
    async with guarded(stack) as house, beside(house) as other, sweeping(other):
        await guarding(house).put(account, Own(fallback="refuse"), "test")
        await asyncio.gather(house.refresh(), other.refresh())
        await put(house, world, honest[:20])
        await settled(house, "sms", 20)
        await verify(house, world, honest[:20])
        for at in range(0, 1000, 100):
            both = pumped[at : at + 50], pumped[at + 50 : at + 100]
            await asyncio.gather(put(house, world, both[0]), put(other, world, both[1]))
        await put(house, world, honest[20:])
        await settled(house, "sms", 1060, 120)
        sent = await texted(world, pumped)
        assert 0 < len(sent) <= 50
        held = await logins_of(house, "reason = 'guard-conversion'")
        assert len(held) > 500  # SMS that waited for ten seconds in starved workers went by e-mail for that reason
        assert not held & {one.login_id for one in honest}
        by_mail = await logins_of(house, "channel = 'email'")
        await settled(house, "email", len(by_mail))
        assert held & by_mail == held & {one.login_id for one in pumped if not one.email_off}


async def logins_of(house: House, which: str) -> set[UUID]:
    rows = await house.pool.fetch(f"SELECT login_id FROM deliveries WHERE {which}")  # noqa: S608
    return {row["login_id"] for row in rows}


async def stopped(house: House, world: World, logins: list[Login], so_far: int = 0) -> int:
    """Send to each of them; how many the guard stopped."""
    before = await counted(house)
    await put(house, world, logins)
    await settled(house, "sms", so_far + len(logins))
    return await counted(house) - before


async def counted(house: House) -> int:
    query = "SELECT count(*) FROM deliveries WHERE channel = 'sms' AND reason LIKE 'guard-%'"
    return int(await house.pool.fetchval(query))


async def test_a_number_that_was_proven_is_not_judged_by_its_neighbours(stack, world):
    account = new_id()
    (known,) = neighbours(1, 1, account)
    async with guarded(stack) as house:
        await put(house, world, [known])
        await settled(house, "sms", 1)
        await verify(house, world, [known])
        assert await stopped(house, world, neighbours(100, 40, account), 1) == 21
        assert await stopped(house, world, [replace(known, login_id=new_id())], 41) == 0
        await house.pool.execute("UPDATE guard_proven SET at = now() - interval '91 days'")
        assert await stopped(house, world, [replace(known, login_id=new_id())], 42) == 1


async def test_a_code_that_came_back_by_email_proves_no_number(stack, world):
    logins = neighbours(0, 25, new_id())
    async with guarded(stack) as house:
        await put(house, world, logins[:20])
        await settled(house, "sms", 20)
        await verify(house, world, logins[:20], channel="email")
        assert await house.pool.fetchval("SELECT count(*) FROM guard_proven") == 0
        await house.refresh()
        assert await house.pool.fetchval("SELECT coalesce(sum(verified), 0) FROM guard_figures") == 0


@pytest.mark.parametrize(("arrived", "stops"), [(False, 0), (True, 5)])
async def test_a_code_from_an_email_counts_for_sms_that_were_lost_and_for_no_other(stack, world, arrived, stops):
    logins = neighbours(0, 25, new_id())
    async with guarded(stack) as house:
        await put(house, world, logins[:20])
        await settled(house, "sms", 20)
        if arrived:
            await house.pool.execute("UPDATE deliveries SET state = 'delivered' WHERE channel = 'sms'")
        await verify(house, world, logins[:20], channel="email")
        assert await stopped(house, world, logins[20:], 20) == stops


async def test_a_beginning_comes_back_by_itself_when_its_codes_do_and_one_account_stops_no_other(stack, world):
    account = new_id()
    logins = neighbours(0, 20, account)
    async with guarded(stack) as house:
        assert await stopped(house, world, logins) == 0
        assert await stopped(house, world, neighbours(20, 1, account), 20) == 1
        assert await stopped(house, world, neighbours(20, 1, new_id()), 21) == 0
        await verify(house, world, logins[:2])
        await verify(house, world, logins[:2])
        assert await house.pool.fetchval("SELECT DISTINCT verified FROM guard_prefixes WHERE verified > 0") == 2
        assert await stopped(house, world, neighbours(21, 1, account), 22) == 0


async def test_a_beginning_comes_back_by_itself_when_its_window_has_passed(stack, world):
    account = new_id()
    async with guarded(stack) as house:
        assert await stopped(house, world, neighbours(0, 21, account)) == 1
        await house.pool.execute("UPDATE guard_prefixes SET since = since - interval '24 hours'")
        assert await stopped(house, world, neighbours(21, 1, account), 21) == 1
        await house.pool.execute("UPDATE guard_prefixes SET since = since - interval '24 hours'")
        assert await stopped(house, world, neighbours(22, 1, account), 22) == 0


async def test_what_no_provider_took_is_not_counted(stack, world):
    logins = neighbours(0, 15, new_id())
    await world.faults(sms={str(one.phone): {"mode": "refuse", "code": 21614} for one in logins})
    async with guarded(stack, guard_daily_budget=1000) as house:
        await put(house, world, logins)
        assert (await settled(house, "sms", 15)).total() == 15
        sums = await house.pool.fetch("SELECT sends FROM guard_prefixes")
        assert [row["sends"] for row in sums] == [0, 0]
        assert await house.pool.fetchval("SELECT spent FROM guard_budgets") == 0
    await world.faults()


async def test_a_budget_holds_for_two_workers_that_race(stack, world):
    account = new_id()
    logins = [Login(account=account) for _ in range(80)]
    prices = {"twilio": {"GB": 0.05}}
    async with guarded(stack, guard_daily_budget="1.50", guard_prices=prices) as house, beside(house) as other:
        async with sweeping(other):
            await asyncio.gather(put(house, world, logins[:40]), put(other, world, logins[40:]))
            assert (await settled(house, "sms", 80))["failed guard-budget"] == 50
        assert await house.pool.fetchval("SELECT spent FROM guard_budgets") == Decimal("1.50")


async def test_the_installation_has_a_budget_of_its_own(stack, world):
    async with guarded(stack, guard_installation_budget=10) as house:
        assert await stopped(house, world, [Login() for _ in range(14)]) == 4


async def test_countries_and_kinds_of_numbers(stack, world):
    premium, abroad, home = Login(phone="+449098790000"), Login(), Login()
    async with guarded(stack, guard_countries="GB,IE") as house:
        await put(house, world, [premium, home])
        await put(house, world, [abroad], country="LT")
        assert await settled(house, "sms", 3) == {
            "failed guard-number-type": 1,
            "failed guard-country": 1,
            "sent": 1,
        }
        await settled(house, "email", 2)


async def test_an_account_has_its_own_way_with_users_whose_email_is_off(stack, world):
    abroad, account = {"country": "LT"}, new_id()
    async with guarded(stack, guard_countries="GB") as house:
        await guarding(house).put(account, Own(fallback="refuse"), "test")
        await house.refresh()
        logins = [Login(email_off=True), Login(account=account, email_off=True), Login()]
        await put(house, world, logins, **abroad)
        assert (await settled(house, "sms", 3))["failed guard-country"] == 3
        await settled(house, "email", 2)
        rows = await house.pool.fetch("SELECT login_id, email_off FROM deliveries WHERE channel = 'email'")
        assert {row["login_id"]: row["email_off"] for row in rows} == {
            logins[0].login_id: True,
            logins[2].login_id: False,
        }
        await guarding(house).put(account, None, "test")
        await house.refresh()
        assert house.gatekeeper.gate.rules(account).fallback == "email"


async def test_who_only_watches_stops_nothing_and_sees_it_all(stack, world):
    account = new_id()
    async with guarded(stack, guard_mode="monitor") as house:
        assert await stopped(house, world, neighbours(0, 30, account)) == 0
        await house.refresh()
        rows = await house.pool.fetch("SELECT reason, sends, stopped, cost FROM guard_figures ORDER BY reason")
        assert [tuple(row) for row in rows] == [("", 30, 0, 30), ("guard-conversion", 0, 10, 0)]


async def test_a_notice_is_stopped_with_its_beginning_and_says_nothing_of_it(stack, world):
    account = new_id()
    told = neighbours(100, 4, account)
    async with guarded(stack) as house:
        await house.ingest.challenges([record(world.notice(one, "sms", "locked")) for one in told[:2]])
        assert (await settled(house, "sms", 2))["sent"] == 2
        assert [row["sends"] for row in await house.pool.fetch("SELECT sends FROM guard_prefixes")] == [0, 0]
        assert await stopped(house, world, neighbours(0, 21, account), 2) == 1
        await house.ingest.challenges([record(world.notice(one, "sms", "locked")) for one in told[2:]])
        assert (await settled(house, "sms", 25))["failed guard-conversion"] == 3


async def test_a_beginning_is_readable_once_many_share_it_and_only_with_the_key(stack, world):
    account = new_id()
    async with guarded(stack) as house:
        await put(house, world, neighbours(123_000, NAMED_FROM - 1, account))
        await settled(house, "sms", NAMED_FROM - 1)
        assert await house.pool.fetchval("SELECT count(shown) FROM guard_prefixes") == 0
        await put(house, world, neighbours(123_500, 2, account))
        await settled(house, "sms", NAMED_FROM + 1)
        rows = await house.pool.fetch("SELECT prefix, shown FROM guard_prefixes WHERE shown IS NOT NULL")
        opened = {world.contacts.open(row["shown"], shown_info(account, row["prefix"])).decode() for row in rows}
        assert opened == {"+44 7911 123•••", "+44 7911 12••••"}


async def test_old_rows_go_away(stack, world):
    logins = neighbours(0, 3, new_id())
    async with guarded(stack, guard_daily_budget=100) as house:
        await put(house, world, logins)
        await settled(house, "sms", 3)
        await verify(house, world, logins)
        await house.refresh()
        await house.housekeeping.look()
        assert await rows_of_the_guard(house) == [2, 3, 1, 2]
        await house.pool.execute("UPDATE guard_prefixes SET since = since - interval '4 days'")
        await house.pool.execute("UPDATE guard_proven SET at = at - interval '91 days'")
        await house.pool.execute("UPDATE guard_figures SET day = day - 40")
        await house.pool.execute("UPDATE guard_budgets SET day = day - 40")
        await house.pool.execute("UPDATE chores SET due_at = now()")
        await house.housekeeping.look()
        assert await rows_of_the_guard(house) == [0, 0, 0, 0]


async def rows_of_the_guard(house: House) -> list[int]:
    tables = ("guard_prefixes", "guard_proven", "guard_figures", "guard_budgets")
    return [await house.pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608


async def test_operators_see_what_is_sent_stopped_and_why_and_let_numbers_through(stack, world, place):
    account, other = new_id(), new_id()
    async with guarded(stack, guard_prices={"twilio": {"*": 0.05}}, guard_daily_budget=9) as house:
        api = await served(house, world, place)
        assert await stopped(house, world, neighbours(123_000, 30, account)) == 10
        await house.refresh()
        seen = await api("GET", "/v1/guard", params={"account": str(account)})
        sent = {"account": str(account), "country": "GB", "provider": "twilio", "sends": 20, "verified": 0}
        assert seen["figures"] == [sent | {"conversion": 0.0, "cost": 1.0}]
        gone = {"account": str(account), "country": "GB", "reason": "guard-conversion", "stopped": 10}
        assert seen["stops"] == [gone]
        assert seen["spent"] == [{"account": str(account), "spent": 1.0}]
        assert {each["prefix"] for each in seen["prefixes"]} == {"+44 7911 123•••", "+44 7911 12••••"}
        assert {(each["sends"], each["stopped"], each["standing"]) for each in seen["prefixes"]} == {
            (20, 10, "stopped")
        }
        assert (await api("GET", "/v1/guard", params={"account": str(other)}))["prefixes"] == []

        for prefix in ("+44 7911 123•••", "+44791112"):
            path = f"/v1/guard/{account}/allow"
            assert (await api("POST", path, json={"prefix": prefix}))["known"] is True
        assert await stopped(house, world, neighbours(123_100, 5, account), 30) == 0
        seen = await api("GET", "/v1/guard")
        assert {each["standing"] for each in seen["prefixes"]} == {"lifted"}
        rows = await house.pool.fetch("SELECT action, details FROM audit WHERE account_id = $1", account)
        assert [(row["action"], row["details"]["hours"]) for row in rows] == [("guard.allow", 24)] * 2
        assert "7911" not in str([dict(row) for row in rows])

        for prefix in ("+44 7911 123•••", "+44791112"):
            await api("POST", f"/v1/guard/{account}/allow", json={"prefix": prefix, "hours": 0})
        assert await stopped(house, world, neighbours(123_200, 1, account), 35) == 1


@pytest.mark.parametrize("allowed", ["+44 7911 123•••", "+44 7911 12••••"])
async def test_either_block_that_is_let_through_is_enough_and_the_inner_one_covers_no_more_than_itself(
    stack, world, place, allowed
):
    account = new_id()
    async with guarded(stack) as house:
        api = await served(house, world, place)
        assert await stopped(house, world, neighbours(123_000, 22, account)) == 2
        await api("POST", f"/v1/guard/{account}/allow", json={"prefix": allowed})
        assert await stopped(house, world, neighbours(123_500, 3, account), 22) == 0
        seen = {each["prefix"]: each["standing"] for each in (await api("GET", "/v1/guard"))["prefixes"]}
        inner_only = allowed == "+44 7911 123•••"
        assert seen == {"+44 7911 123•••": "lifted", "+44 7911 12••••": "stopped" if inner_only else "lifted"}
        assert await stopped(house, world, neighbours(124_000, 1, account), 25) == inner_only


async def test_what_is_let_through_no_more_is_gone_from_the_list(stack, world, place):
    account = new_id()
    path, prefix = f"/v1/guard/{account}/allow", "+447911123"
    async with guarded(stack) as house:
        api = await served(house, world, place)
        assert (await api("POST", path, json={"prefix": prefix, "hours": 0}))["known"] is False
        await api("POST", path, json={"prefix": prefix})
        assert (await api("POST", path, json={"prefix": prefix, "hours": 0}))["known"] is True
        assert (await api("GET", "/v1/guard"))["prefixes"] == []
        assert await house.pool.fetchval("SELECT count(shown) FROM guard_prefixes") == 0


async def test_a_budget_that_is_set_in_the_middle_of_a_day_knows_what_went_out_before(stack, world):
    account = new_id()
    async with guarded(stack) as house:
        assert await stopped(house, world, [Login(account=account) for _ in range(8)]) == 0
        await guarding(house).put(account, Own(daily_budget=10), "test")
        await house.refresh()
        assert await stopped(house, world, [Login(account=account) for _ in range(5)], 8) == 3
        spent = {row["account"]: row["spent"] for row in await guarding(house).spent(None)}
        assert spent == {str(account): 10.0, "*": 10.0}


async def test_numbers_are_let_through_before_anything_was_sent_to_them(stack, world, place):
    account = new_id()
    async with guarded(stack) as house:
        api = await served(house, world, place)
        for prefix in ("+447911123", "+44 7911 12••••"):
            assert (await api("POST", f"/v1/guard/{account}/allow", json={"prefix": prefix}))["known"] is False
        assert {each["prefix"] for each in (await api("GET", "/v1/guard"))["prefixes"]} == {"+447911123…", "+44791112…"}
        assert await stopped(house, world, neighbours(123_000, 30, account)) == 0


async def test_an_accounts_settings_are_set_shown_and_taken_back(world):
    path, own = (
        f"/v1/guard/{new_id()}",
        {"mode": "monitor", "countries": ["GB"], "daily_budget": 2.5, "fallback": "email"},
    )
    set_ = await world.call("PUT", path, json=own)
    assert set_["own"] == own
    assert (await world.call("GET", path)) == set_
    assert {name: set_["in_force"][name] for name in own} == own
    back = await world.call("DELETE", path)
    assert back["own"] == {}
    assert back["in_force"]["countries"] is None
    assert (await world.call("GET", path)) == back


@pytest.mark.parametrize(
    "broken",
    [
        {"mode": "off"},
        {"countries": ["gb"]},
        {"countries": []},
        {"minimum": 0},
        {"conversion": 2},
        {"x": 1},
        {"fallback": ""},
    ],
)
async def test_settings_that_make_no_sense_are_refused(world, broken):
    assert (await world.call("PUT", f"/v1/guard/{new_id()}", 400, json=broken))["type"] == "urn:gatepost:bad-request"


@pytest.mark.parametrize(
    "broken", [{"prefix": "44791"}, {"prefix": "+•••"}, {"prefix": "+4479x"}, {"prefix": "+4479", "hours": -1}]
)
async def test_a_prefix_that_is_none_is_refused(world, broken):
    path = f"/v1/guard/{new_id()}/allow"
    assert (await world.call("POST", path, 400, json=broken))["type"] == "urn:gatepost:bad-request"


async def test_what_nobody_took_in_an_outage_is_not_held_against_a_block(stack, world):
    """The first call is refused, then the breaker is open: such a row ends without another call."""
    people = neighbours(700_000, 40, new_id())
    async with guarded(stack, slots=8) as house:
        await world.faults(sms={"*": {"mode": "refuse", "code": 20429}})
        for at in range(0, 40, 5):
            await put(house, world, people[at : at + 5])
            await asyncio.sleep(0.3)
        await settled(house, "sms", 40, 40)
        await world.faults()
        assert await texted(world, people) == set()
        assert await house.pool.fetchval("SELECT max(sends + old_sends) FROM guard_prefixes") == 0


@pytest.mark.parametrize("prefix", ["+4479", "+4479111230", "+44 7911 1•••••", "+999123"])
async def test_a_prefix_that_no_block_of_numbers_has_is_refused_with_two_that_could_be(world, prefix):
    refused = await world.call("POST", f"/v1/guard/{new_id()}/allow", 400, json={"prefix": prefix})
    assert "+44 7400 123•••" in refused["detail"]
    assert "+44 7400 12••••" in refused["detail"]
