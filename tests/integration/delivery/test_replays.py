"""A replay as a job: how fast, one at a time, stopped and gone on with, judged when it is each message's turn."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from services.delivery.deliveries import Wanted
from services.delivery.postgres import replay_rows
from services.delivery.postgres.replays import PostgresReplays
from services.delivery.replay import AnotherRuns, Asked, Limits
from services.platform.auth import Client
from services.platform.clock import new_id
from tests.integration.delivery.conftest import SCOPES, Place, client
from tests.integration.delivery.house import own_house
from tests.integration.delivery.world import Login, World, until

Operator = dict[str, str]


@pytest_asyncio.fixture
async def auth(place: Place) -> Operator:
    """A client of its own for each test: nobody makes more than ten replays a minute."""
    return await client(place, "*", SCOPES)


async def refused(world: World, count: int, account: UUID | None = None, **more: Any) -> list[Login]:
    """Logins of one account whose SMS the provider refused, the oldest first."""
    account = account or new_id()
    logins = [Login(account=account, email=None, **more) for _ in range(count)]
    await world.faults(sms={str(login.phone): {"mode": "refuse"} for login in logins})
    for login in logins:
        await world.open(login)
        await world.row(login, "sms", "failed")
    await world.faults()
    return logins


async def make(world: World, auth: Operator, logins: Sequence[Login], status: int = 202, **more: Any) -> Any:
    body = {"account": str(logins[0].account)} | more
    return await world.call("POST", "/v1/replays", status, json=body, auth=auth)


async def shown(world: World, auth: Operator, made: Any) -> Any:
    params = {"account": made["account"]}
    return await world.call("GET", f"/v1/replays/{made['replay_id']}", params=params, auth=auth)


async def ended(world: World, auth: Operator, made: Any) -> Any:
    async def over() -> Any:
        found = await shown(world, auth, made)
        return found if found["state"] != "running" else None

    return await until(over, 15, "the end of the replay")


async def stop(world: World, auth: Operator, made: Any) -> Any:
    path = f"/v1/replays/{made['replay_id']}/stop"
    return await world.call("POST", path, params={"account": made["account"]}, auth=auth)


async def test_a_replay_sends_the_newest_first_and_no_faster_than_asked(world: World, auth: Operator):
    logins = await refused(world, 4)
    made = await make(world, auth, logins, per_second=2)
    assert (made["state"], made["planned"], made["counts"]) == ("running", {"replayed": 4}, {"replayed": 1})
    assert made["seconds_left"] == 2
    done = await ended(world, auth, made)
    assert (done["state"], done["counts"], done["seconds_left"]) == ("done", {"replayed": 4}, None)
    rows = [(await world.row(login, "sms", "delivered"))["created_at"] for login in logins]
    assert rows == sorted(rows, reverse=True)
    assert (await shown(world, auth, made))["became"] == {"delivered": 4}


async def test_what_failed_again_is_told_by_reason_and_listed(world: World, auth: Operator):
    lost, reached = await refused(world, 2)
    await world.faults(sms={str(lost.phone): {"mode": "refuse", "code": 21614}})
    made = await make(world, auth, [lost, reached])
    await ended(world, auth, made)
    await world.row(reached, "sms", "delivered")
    await until(lambda: row_of(world, auth, made, "failed"), 15, "the second refusal")
    await world.faults()
    found = await shown(world, auth, made)
    assert found["became"] == {"delivered": 1, "failed": 1}
    why = {"state": "failed", "reason": "not-a-mobile:21614", "channel": "sms", "provider": "twilio", "many": 1}
    assert found["not_arrived"] == [why]
    (row,) = await listed(world, auth, made, state="failed", reason="not-a-mobile:21614")
    assert row["login_id"] == str(lost.login_id)
    assert {row["login_id"] for row in await listed(world, auth, made)} == {str(lost.login_id), str(reached.login_id)}
    assert await listed(world, auth, made, provider="-") == []


async def listed(world: World, auth: Operator, made: Any, **more: str) -> list[dict[str, Any]]:
    """What it sent."""
    params = {"account": made["account"], "replay": made["replay_id"]} | more
    found: list[dict[str, Any]] = (await world.call("GET", "/v1/deliveries", params=params, auth=auth))["deliveries"]
    return found


async def row_of(world: World, auth: Operator, made: Any, state: str) -> dict[str, Any] | None:
    return next(iter(await listed(world, auth, made, state=state)), None)


async def test_what_was_used_meanwhile_is_not_sent_though_it_was_counted(world: World, auth: Operator):
    oldest, _ = await refused(world, 2)
    made = await make(world, auth, [oldest], per_second=0.5)
    assert (made["planned"], made["counts"]) == ({"replayed": 2}, {"replayed": 1})
    await world.publish(world.verified(oldest))
    await world.closed(oldest, "verified")
    done = await ended(world, auth, made)
    assert (done["planned"], done["counts"]) == ({"replayed": 2}, {"replayed": 1, "used": 1})
    assert await world.messages(oldest.phone) == []


async def test_beside_a_running_replay_another_of_that_account_is_refused_by_its_name(world: World, auth: Operator):
    logins, others = await refused(world, 2), await refused(world, 1)
    made = await make(world, auth, logins, per_second=0.1)
    problem = await make(world, auth, logins, 409)
    assert (problem["type"], problem["replay_id"]) == ("urn:gatepost:replay-running", made["replay_id"])
    assert (await make(world, auth, others))["state"] == "done"
    assert (await stop(world, auth, made))["state"] == "stopped"
    assert (await make(world, auth, logins))["counts"]["replayed"] == 1


async def test_a_replay_that_was_stopped_goes_on_by_its_id(world: World, auth: Operator):
    logins = await refused(world, 3)
    made = await make(world, auth, logins, per_second=0.1, replay_id=f"r-{new_id()}")
    stopped = await stop(world, auth, made)
    assert (stopped["state"], stopped["counts"], bool(stopped["stopped_by"])) == ("stopped", {"replayed": 1}, True)
    assert (await stop(world, auth, made))["ended_at"] == stopped["ended_at"]
    again = await make(world, auth, logins, 200, per_second=50, replay_id=made["replay_id"])
    assert (again["state"], again["repeated"], again["stopped_by"]) == ("running", True, None)
    assert (await ended(world, auth, made))["counts"] == {"replayed": 3}
    for login in logins:
        await world.row(login, "sms", "delivered")
        assert len(await world.messages(login.phone)) == 1
    done = await make(world, auth, logins, 200, replay_id=made["replay_id"])
    assert (done["state"], done["repeated"]) == ("done", True)


async def test_an_id_is_not_used_for_another_filter(world: World, auth: Operator):
    logins = await refused(world, 1)
    made = await make(world, auth, logins)
    problem = await make(world, auth, logins, 409, replay_id=made["replay_id"], reason="no-receipt")
    assert problem["type"] == "urn:gatepost:replay-id-taken"


async def test_a_filter_that_matches_nothing_says_which_one_is_in_the_way(world: World, auth: Operator):
    logins = await refused(world, 2)
    for dry_run, status in ((True, 200), (False, 202)):
        asked = {"reason": "no-receipt", "channel": "sms", "dry_run": dry_run}
        found = await make(world, auth, logins, status, **asked)
        assert (found["matched"], found["without"]) == (0, {"reason": 2})
    assert (await make(world, auth, logins, 200, dry_run=True)).get("without") is None


async def test_an_id_that_matched_nothing_is_not_spent(world: World, auth: Operator):
    login = Login(email=None)
    name = f"r-{new_id()}"
    assert (await make(world, auth, [login], replay_id=name))["matched"] == 0
    logins = await refused(world, 2, account=login.account)
    made = await make(world, auth, logins, replay_id=name)
    assert (made["matched"], made["repeated"]) == (2, False)
    assert (await ended(world, auth, made))["counts"] == {"replayed": 2}


async def test_one_that_goes_on_keeps_its_rate_and_its_counts_add_up(world: World, auth: Operator):
    """What another replay sent meanwhile is counted as that."""
    logins = await refused(world, 4)
    made = await make(world, auth, logins, per_second=0.1, replay_id=f"r-{new_id()}")
    await stop(world, auth, made)
    await world.row(logins[-1], "sms", "delivered")
    other = await make(world, auth, logins)
    assert (await ended(world, auth, other))["counts"] == {"replayed": 3}
    for login in logins:
        await world.row(login, "sms", "delivered")
    again = await make(world, auth, logins, 200, replay_id=made["replay_id"])
    assert (again["per_second"], again["repeated"]) == (0.1, True)
    done = await ended(world, auth, made)
    assert (done["matched"], done["counts"]) == (4, {"replayed": 1, "arrived-meanwhile": 3})


async def test_a_rate_over_the_ceiling_is_refused_by_the_settings_name(world: World, auth: Operator):
    problem = await world.call("POST", "/v1/replays", 400, json={"per_second": 501}, auth=auth)
    assert "GATEPOST_REPLAYS_PER_SECOND_MOST" in problem["detail"]
    await world.call("POST", "/v1/replays", 400, json={"per_second": 0}, auth=auth)


async def test_the_list_goes_page_by_page_and_stays_in_its_account(world: World, place: Place):
    account = new_id()
    own = await client(place, str(account), SCOPES)
    made = [(await world.call("POST", "/v1/replays", 202, json={}, auth=own))["replay_id"] for _ in range(3)]
    first = await world.call("GET", "/v1/replays", params={"limit": "2"}, auth=own)
    rest = await world.call("GET", "/v1/replays", params={"limit": "2", "cursor": first["next"]}, auth=own)
    assert [one["replay_id"] for one in first["replays"] + rest["replays"]] == made[::-1]
    assert rest["next"] is None
    await world.call("GET", "/v1/replays", 400, params={"cursor": "nonsense"}, auth=own)
    stranger = await client(place, str(new_id()), SCOPES)
    assert (await world.call("GET", "/v1/replays", auth=stranger))["replays"] == []
    await world.call("POST", f"/v1/replays/{made[0]}/stop", 404, auth=stranger)


async def test_who_made_and_stopped_a_replay_when_with_which_filter_and_counts_is_audited(
    world: World, auth: Operator, place: Place
):
    logins = await refused(world, 2)
    made = await make(world, auth, logins, per_second=0.1)
    await stop(world, auth, made)
    connection = await asyncpg.connect(place.dsn)
    rows = await connection.fetch("SELECT * FROM audit WHERE subject = $1 ORDER BY id", made["replay_id"])
    await connection.close()
    assert [row["action"] for row in rows] == ["deliveries.replay", "deliveries.replay-stop"]
    assert {row["account_id"] for row in rows} == {logins[0].account}
    assert all(row["who"].startswith("client:test-") for row in rows)
    assert str(logins[0].account) in rows[0]["details"]
    assert '"replayed":1' in rows[1]["details"].replace(" ", "")


@pytest.mark.parametrize("count", [3])
async def test_replays_of_two_accounts_at_once_give_a_phone_no_more_than_its_limit(
    world: World, auth: Operator, count: int
):
    phone = Login().phone
    sets = [await refused(world, count, phone=phone) for _ in range(2)]
    made = await asyncio.gather(*(make(world, auth, logins) for logins in sets))
    counts = [(await ended(world, auth, one))["counts"] for one in made]
    assert sum(each["replayed"] for each in counts) == 5
    assert sum(each.get("limit", 0) for each in counts) == 1


async def test_counting_for_many_leaves_connections_to_the_codes(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    async def slow(connection: Any, *_: Any) -> list[Any]:
        await connection.execute("SELECT pg_sleep(1)")
        return []

    monkeypatch.setattr(replay_rows, "candidates", slow)
    async with own_house(stack, database_pool=4) as house:
        replays = PostgresReplays(house.pool, Limits(5, 20))
        counting = [asyncio.create_task(replays.candidates(Wanted(), None, 1)) for _ in range(8)]
        await asyncio.sleep(0.2)
        start = time.monotonic()
        await house.pool.fetchval("SELECT 1")
        assert time.monotonic() - start < 0.7
        await asyncio.gather(*counting)


async def test_nothing_is_counted_for_a_replay_that_is_refused_beside_another(stack: Stack):
    who = Client("test", "*", frozenset())
    async with own_house(stack) as house:
        replays = PostgresReplays(house.pool, Limits(5, 20))
        await house.pool.execute(
            "INSERT INTO replays (id, account_id, by, filter, per_second, planned, more, counts, state)"
            " VALUES ('first', '*', 'me', '{}', 1, '{}', false, '{}', 'running')"
        )
        with pytest.raises(AnotherRuns, match="first"):
            await replays.again(Asked("*", "second", Wanted(), 1.0), who)


async def test_an_id_has_no_line_end(world: World, auth: Operator):
    await world.call("POST", "/v1/replays", 400, json={"replay_id": "abc\n"}, auth=auth)
