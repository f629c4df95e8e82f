"""Delivery's calls and their errors, as `docs/api.md` and `docs/problems.md` name them."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from services.platform.clock import new_id
from tests.integration.delivery.conftest import SCOPES, Place, client
from tests.integration.delivery.world import Login, World, until

NOT_THERE = [
    ("GET", f"/v1/timelines/{new_id()}"),
    ("GET", "/v1/timelines/no-uuid"),
    ("GET", "/v1/replays/never-made"),
    ("POST", "/v1/dead-letters/no-uuid/replay"),
    ("PATCH", "/v1/providers/nobody"),
    ("POST", "/v1/receipts/nobody"),
    ("GET", "/v1/nothing"),
]


@pytest.mark.parametrize(("method", "path"), NOT_THERE)
async def test_what_does_not_exist_is_not_found(world: World, method: str, path: str):
    body = {"json": {"enabled": True}} if method == "PATCH" else {}
    assert (await world.call(method, path, 404, **body))["type"] == "urn:gatepost:not-found"


async def test_another_method_says_which_ones_there_are(world: World):
    async with world.http.delete(f"{world.url}/v1/deliveries", headers=world.auth) as answer:
        assert (answer.status, (await answer.json())["type"]) == (405, "urn:gatepost:method-not-allowed")
        assert "GET" in answer.headers["Allow"]


async def test_a_body_over_the_limit_is_refused_by_name(world: World):
    problem = await world.call("POST", "/v1/replays", 413, data=b'{"reason":"' + b"x" * 70_000 + b'"}')
    assert problem["type"] == "urn:gatepost:body-too-large"


async def test_missing_credentials_name_the_scheme(world: World):
    for given in ({}, {"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="}, {"Authorization": "Bearer gp_x"}):
        async with world.http.get(f"{world.url}/v1/providers", headers=given) as answer:
            assert (answer.status, (await answer.json())["type"]) == (401, "urn:gatepost:unauthenticated")
            assert "Basic" in answer.headers["WWW-Authenticate"]


async def test_a_receipt_that_nobody_signed_is_refused(world: World):
    problem = await world.call("POST", "/v1/receipts/twilio", 403, data={"MessageSid": "SM0"}, auth=None)
    assert problem["type"] == "urn:gatepost:bad-signature"


async def test_the_eleventh_replay_within_a_minute_has_to_wait(world: World, place: Place):
    account = new_id()
    busy = await client(place, str(account), SCOPES)
    for _ in range(10):
        await world.call("POST", "/v1/replays", 202, json={}, auth=busy)
    async with world.http.post(f"{world.url}/v1/replays", json={}, headers=busy) as answer:
        assert (answer.status, (await answer.json())["type"]) == (429, "urn:gatepost:too-many-replays")
        assert int(answer.headers["Retry-After"]) >= 1
    await world.call("POST", "/v1/replays", 200, json={"dry_run": True}, auth=busy)


async def test_a_replay_is_found_by_its_own_client_only(world: World, place: Place):
    owner, other = [await client(place, str(new_id()), SCOPES) for _ in range(2)]
    replay_id = f"r-{new_id()}"
    await world.call("POST", "/v1/replays", 202, json={"replay_id": replay_id}, auth=owner)
    assert (await world.call("GET", f"/v1/replays/{replay_id}", auth=owner))["matched"] == 0
    await world.call("GET", f"/v1/replays/{replay_id}", 404, auth=other)


async def failed(world: World) -> Login:
    login = Login(email=None)
    await world.faults(sms={str(login.phone): {"mode": "refuse"}})
    await world.open(login)
    await world.row(login, "sms", "failed")
    await world.faults()
    return login


async def test_a_replay_id_that_others_used_is_free_in_ones_own_account(world: World, place: Place):
    one, other = await failed(world), await failed(world)
    asked = {"replay_id": f"r-{new_id()}"}
    everywhere = await world.call("POST", "/v1/replays", 202, json=asked | {"login_id": str(other.login_id)})
    assert everywhere["counts"] == {"replayed": 1}
    await world.row(other, "sms", "delivered")
    own = await client(place, str(one.account), SCOPES)
    mine = await world.call("POST", "/v1/replays", 202, json=asked, auth=own)
    assert (mine["matched"], mine["counts"], mine["repeated"]) == (1, {"replayed": 1}, False)
    await world.row(one, "sms", "delivered")
    path, stranger = f"/v1/replays/{asked['replay_id']}", await client(place, str(new_id()), SCOPES)
    assert (await world.call("GET", path, auth=own))["counts"] == {"replayed": 1}
    assert (await world.call("POST", "/v1/replays", 202, json=asked, auth=stranger))["matched"] == 0
    for account, matched in ((one.account, 1), (new_id(), None)):
        answer = await world.call("GET", path, 404 if matched is None else 200, params={"account": str(account)})
        assert answer.get("matched") == matched
    await world.call("GET", path, 404, params={"account": str(one.account)}, auth=stranger)


async def test_the_same_click_by_two_clients_of_an_account_is_one_replay(world: World, place: Place):
    login = await failed(world)
    asked = {"replay_id": f"r-{new_id()}"}
    clients = [await client(place, str(login.account), SCOPES) for _ in range(2)]
    first = await world.call("POST", "/v1/replays", 202, json=asked, auth=clients[0])
    second = await world.call("POST", "/v1/replays", 200, json=asked, auth=clients[1])
    assert (first["counts"], second["counts"], second["repeated"]) == ({"replayed": 1}, {"replayed": 1}, True)


async def test_a_dead_letter_of_another_service_is_replayed_there(world: World):
    start = datetime.now(UTC)
    await world.publish_raw("session-events", b"no event at all")

    async def others() -> Any:
        found = (await world.call("GET", "/v1/dead-letters"))["dead_letters"]
        young = [f for f in found if datetime.fromisoformat(f["at"]) >= start]
        return next((f for f in young if f["service"] == "session-store"), None)

    letter = await until(others, 15, "the session store's dead letter")
    problem = await world.call("POST", f"/v1/dead-letters/{letter['id']}/replay", 409)
    assert problem["type"] == "urn:gatepost:not-replayable-here"


async def test_the_filters_pick_what_they_say(world: World):
    kept, other = Login(email=None), Login()
    await world.faults(sms={str(kept.phone): {"mode": "refuse"}})
    await asyncio.gather(world.open(kept), world.open(other))
    await asyncio.gather(world.row(kept, "sms", "failed"), world.row(other, "sms", "delivered"))
    await world.faults()

    async def seen(account: Login, **asked: str) -> int:
        params = {"account": str(account.account), **asked}
        return len((await world.call("GET", "/v1/deliveries", params=params))["deliveries"])

    assert await seen(kept, state="failed") == await seen(kept, reason="invalid-number") == 1
    assert await seen(kept, state="delivered") == await seen(other, state="failed") == 0
    assert await seen(other, provider="twilio") == 1
    assert await seen(other, since="2999-01-01T00:00:00Z") == await seen(other, until="2000-01-01T00:00:00Z") == 0
