"""Walks delivery's who table over HTTP: every call, with every scope, every role and a foreign account."""

import base64
import os
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from services.delivery.routes.described import RECEIPTS
from services.delivery.who import RIGHTS
from services.platform.clock import new_id
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import SessionTokens, secret_hash
from services.platform.scopes import SCOPES
from tests.integration.delivery.conftest import Place, client
from tests.integration.delivery.world import Login, World, until

ROLES = ("user", "admin", "operator")
OF_NO_ACCOUNT = {("GET", "/v1/deliveries/pauses")}  # it shows the caller's own account

Call = tuple[str, str]
LISTS = {("GET", "/v1/replays"), ("GET", "/v1/guard")}
Headers = dict[str, str]
each_call = pytest.mark.parametrize("call", sorted(RIGHTS), ids=" ".join)


class Kept(NamedTuple):
    """What the walk asks for: a login of an account, and a replay there."""

    login: Login
    replay_id: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kept(world: World, place: Place) -> Kept:
    login = await world.open(Login())
    await world.row(login, "sms", "delivered")
    own = await client(place, str(login.account), ["deliveries:replay"])
    made = await world.call("POST", "/v1/replays", 202, json={}, auth=own)
    return Kept(login, made["replay_id"])


async def signed_in(world: World, place: Place, login: Login, age: timedelta = timedelta(), **more: Any) -> Headers:
    """A session as the gateway would have told it, once the session store knows it."""
    secret, at = os.urandom(16), (datetime.now(UTC) - age).replace(microsecond=0)
    hashed = base64.urlsafe_b64encode(secret_hash(secret)).decode()
    told = {"aud": "gatepost", "issued_at": at, "auth_time": at, "secret_hash": hashed} | more
    await world.publish(msgspec.structs.replace(world.verified(login), **told))
    tokens = SessionTokens(Keyrings(place.keys / "gateway").secret("session"))
    headers = {"Authorization": f"Bearer {tokens.make(login.login_id, int(at.timestamp()), secret)}"}
    wanted = {200, 403} if told["aud"] == "gatepost" else {401}
    await until(lambda: answers(world, headers, wanted), 15, "the session is known")
    return headers


async def answers(world: World, headers: Headers, wanted: set[int]) -> bool | None:
    """While a young session is not known it gets 503; with another audience than `gatepost` then 401."""
    async with world.http.get(f"{world.url}/v1/deliveries", headers=headers) as answer:
        return answer.status in wanted or None


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def apps(world: World, place: Place, kept: Kept) -> Headers:
    return await signed_in(world, place, Login(account=kept.login.account), role="operator", aud="apps")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def people(world: World, place: Place, kept: Kept) -> dict[tuple[str, str], Headers]:
    """One person of each role, of that account and of another, signed in to Gatepost itself."""
    accounts = {"own": kept.login.account, "foreign": new_id()}
    return {
        (where, role): await signed_in(world, place, Login(account=account), role=role)
        for where, account in accounts.items()
        for role in ROLES
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def clients(place: Place, kept: Kept) -> dict[tuple[str, str], Headers]:
    accounts = {"every": "*", "own": str(kept.login.account), "foreign": str(new_id())}
    return {
        (where, scope): await client(place, account, [scope]) for where, account in accounts.items() for scope in SCOPES
    }


async def called(world: World, call: Call, headers: Headers, kept: Kept) -> tuple[int, str]:
    """Status and problem. What is changed belongs to the kept account or does not exist, so nobody is harmed."""
    method, pattern = call
    account = {"account": str(kept.login.account)}
    ids = {"login_id": kept.login.login_id, "replay_id": kept.replay_id, "letter_id": new_id(), "provider": "nobody"}
    path = pattern.format(**ids, **account)
    sent: dict[str, Any] = {}
    of_account = ("/v1/deliveries", "/v1/deliveries/stream", "/v1/replays/{replay_id}", "/v1/replays/{replay_id}/stop")
    if pattern in of_account or call in LISTS:
        sent = {"params": account}
    elif pattern.startswith(("/v1/deliveries/", "/v1/replays")) and method == "POST":
        sent = {"json": account | ({"dry_run": True} if pattern == "/v1/replays" else {})}
    elif pattern.startswith("/v1/dead-letters") and method == "POST":
        sent = {"json": {"reason": "of no use"} if "{letter_id}" in pattern else {"dry_run": True}}
    elif method == "PATCH":
        sent = {"json": {"enabled": True}}
    elif pattern == "/v1/guard/{account}/allow":
        sent = {"json": {"prefix": "+447911123"}}
    elif pattern.startswith(("/v1/wordings", "/v1/guard")) and method in ("PUT", "POST"):
        sent = {"json": {}}
    elif method == "PUT":
        sent = {"json": account | {"country": "IS", "providers": []}}
    async with world.http.request(method, f"{world.url}{path}", headers=headers, **sent) as answer:
        problem = (await answer.json())["type"] if answer.status >= 400 else ""
        return answer.status, problem.removeprefix("urn:gatepost:")


LET_IN = {(200, ""), (404, "not-found")}  # 404: no such dead letter or provider
FORBIDDEN, NOT_FOUND = (403, "forbidden"), (404, "not-found")


def is_of_an_account(call: Call) -> bool:
    return not RIGHTS[call].installation and call not in OF_NO_ACCOUNT


def let_in(call: Call, answer: tuple[int, str]) -> bool:
    return answer == (200, "") if not RIGHTS[call].installation else answer in LET_IN


async def test_every_route_of_the_service_is_in_the_table(world: World):
    paths = (await world.call("GET", "/openapi.json", auth=None))["paths"]
    found = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    common = {("GET", path) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json")}
    assert found - common - {RECEIPTS} == set(RIGHTS)


@each_call
async def test_without_good_credentials_nothing_is_answered(
    world: World, place: Place, kept: Kept, apps: Headers, call: Call
):
    off = await client(place, "*", sorted(SCOPES))
    name = base64.b64decode(off["Authorization"].removeprefix("Basic ")).decode().partition(":")[0]
    connection = await asyncpg.connect(place.dsn)
    await connection.execute("UPDATE clients SET enabled = false WHERE client_id = $1", name)
    await connection.close()
    cookie = {"Cookie": apps["Authorization"].replace("Bearer ", "__Host-gatepost=")}
    for given in ({}, {"Authorization": "Basic !"}, {"Authorization": "Bearer gp_x"}, apps, cookie, off):
        assert await called(world, call, given, kept) == (401, "unauthenticated")


@each_call
async def test_a_client_is_let_in_by_its_scopes_and_in_its_account_only(
    world: World, kept: Kept, clients: Any, call: Call
):
    row = RIGHTS[call]
    for (where, scope), headers in clients.items():
        answer = await called(world, call, headers, kept)
        if scope not in row.scopes or (row.installation and where != "every"):
            assert answer == FORBIDDEN, (where, scope)
        elif where == "foreign" and is_of_an_account(call):
            assert answer == NOT_FOUND, (where, scope)
        else:
            assert let_in(call, answer), (where, scope, answer)


@each_call
async def test_a_person_is_let_in_by_their_role_and_in_their_account_only(
    world: World, kept: Kept, people: Any, call: Call
):
    for (where, role), headers in people.items():
        answer = await called(world, call, headers, kept)
        if role not in RIGHTS[call].roles:
            assert answer == FORBIDDEN, (where, role)
        elif where == "foreign" and role != "operator" and is_of_an_account(call):
            assert answer == NOT_FOUND, (where, role)
        else:
            assert let_in(call, answer), (where, role, answer)


@each_call
async def test_what_changes_something_asks_a_person_for_a_fresh_sign_in(
    world: World, place: Place, kept: Kept, stale: Headers, call: Call
):
    answer = await called(world, call, stale, kept)
    if RIGHTS[call].fresh:
        assert answer == (401, "fresh-sign-in-required")
    else:
        assert let_in(call, answer)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stale(world: World, place: Place) -> Headers:
    return await signed_in(world, place, Login(), timedelta(minutes=16), role="operator")


async def test_a_session_that_ended_is_nobody(world: World, place: Place, kept: Kept):
    login = Login()
    headers = await signed_in(world, place, login, role="operator")
    await world.publish(world.expire_all(login))

    async def refused() -> Any:
        return await called(world, ("GET", "/v1/providers"), headers, kept) == (401, "unauthenticated") or None

    await until(refused, 15, "401")


async def test_the_stream_shows_another_accounts_person_nothing(world: World, people: Any, kept: Kept):
    """Steps of both accounts go by; only the own one's are shown."""
    own = await lines(world, people["own", "admin"], Login(account=kept.login.account), Login())
    assert own == {str(kept.login.account)}


async def lines(world: World, headers: Headers, own: Login, other: Login) -> set[str]:
    seen: set[str] = set()
    async with world.http.get(f"{world.url}/v1/deliveries/stream", headers=headers) as stream:
        assert (await stream.content.readline()).startswith(b": connected")
        await world.open(other)
        await world.row(other, "sms", "delivered")
        await world.open(own)
        while True:
            line = await stream.content.readline()
            if line.startswith(b"data: "):
                step = msgspec.json.decode(line[6:])
                seen.add(step["account"])
                if UUID(step["login_id"]) == own.login_id and step["what"] == "delivered":
                    return seen
