"""Walks the who table of the session store: every call, with every scope, every role and a foreign account."""

from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from services.platform.scopes import SCOPES
from services.session_store.store import STORE
from services.session_store.who import PUBLIC, RIGHTS
from tests.integration.session_store.world import Made, World, bearer

ROLES = ("user", "admin", "operator")
FORMS = {"/v1/introspect", "/v1/revoke"}
ACCOUNTED = {("GET", "/v1/sessions"), ("GET", "/v1/sessions/count"), ("DELETE", "/v1/sessions/{login_id}")}

Call = tuple[str, str]


def calls(*, public: bool) -> pytest.MarkDecorator:
    found = [call for call, row in RIGHTS.items() if (row is PUBLIC) is public]
    return pytest.mark.parametrize("call", found, ids=[" ".join(call) for call in found])


@pytest_asyncio.fixture(scope="module")
async def kept(world: World) -> Made:
    """A session of the account that the walk is about; no call of the walk ends it."""
    return await world.open(days_old=1)


@pytest_asyncio.fixture(scope="module")
async def people(world: World, kept: Made) -> dict[tuple[str, str], dict[str, str]]:
    """One person of each role, of that account and of another, signed in to Gatepost itself."""
    found = {}
    for place, account in (("own", kept.event.account_id), ("foreign", str(uuid4()))):
        for role in ROLES:
            found[place, role] = bearer((await world.open(account=account, role=role, aud="gatepost")).token)
    return found


@pytest_asyncio.fixture(scope="module")
async def clients(world: World, kept: Made) -> dict[tuple[str, str], dict[str, str]]:
    places = {"every": "*", "own": kept.event.account_id, "foreign": str(uuid4())}
    return {(place, scope): await world.client(account, scope) for place, account in places.items() for scope in SCOPES}


async def called(world: World, call: Call, headers: Any, account: str, login_id: Any = None) -> tuple[int, str]:
    """What is asked for does not exist unless it is named, so that no allowed call does harm."""
    method, pattern = call
    path = pattern.format(login_id=login_id or uuid4())
    sent: dict[str, Any] = {"data": {"token": "gp_x"}} if pattern in FORMS else {"params": {"account": account}}
    if method == "POST" and pattern not in FORMS:
        sent = {"json": {}}
    status, answer = await world.call(method, path, headers=headers, **sent if method != "DELETE" else {})
    return status, str(answer["type"]).removeprefix("urn:gatepost:") if status >= 400 else ""


async def test_every_call_of_the_application_is_in_the_table_and_every_row_is_a_call(world: World):
    routes = [route for route in world.app.router.routes() if route.method != "HEAD" and route.resource]
    found = {(route.method, route.resource.canonical) for route in routes if route.resource}
    common = {("GET", path) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json")}
    pages = {call for call in found if call[1].startswith("/docs")}
    assert found - common - pages == RIGHTS.keys()


def test_every_row_is_walked():
    walked = {call for public in (True, False) for call in calls(public=public).args[1]}
    assert walked == RIGHTS.keys()
    assert {call for call in RIGHTS if "sessions" in call[1]} == ACCOUNTED


@calls(public=False)
async def test_without_good_credentials_nothing_is_answered(world: World, kept: Made, call: Call):
    for given in ({}, {"Authorization": "Basic !"}, {"Authorization": "Bearer gp_x"}, bearer(kept.token)):
        assert await called(world, call, given, kept.event.account_id) == (401, "unauthenticated")
    cookie = {"Cookie": f"__Host-gatepost={kept.token}"}
    assert await called(world, call, cookie, kept.event.account_id) == (401, "unauthenticated")


@calls(public=False)
async def test_a_client_is_let_in_by_its_scopes_only(world: World, kept: Made, clients: Any, call: Call):
    row = RIGHTS[call]
    assert row is not None
    for place in ("every", "own"):
        for scope in SCOPES:
            status, name = await called(world, call, clients[place, scope], kept.event.account_id)
            if scope in row.scopes:
                assert name not in ("unauthenticated", "forbidden"), (place, scope)
            else:
                assert (status, name) == (403, "forbidden"), (place, scope)


@calls(public=False)
async def test_a_person_is_let_in_by_their_role_only(world: World, kept: Made, people: Any, call: Call):
    row = RIGHTS[call]
    assert row is not None
    for role in ROLES:
        status, name = await called(world, call, people["own", role], kept.event.account_id)
        if role in row.roles:
            assert name not in ("unauthenticated", "forbidden"), role
        else:
            assert (status, name) == (403, "forbidden"), role


@pytest.mark.parametrize("call", sorted(ACCOUNTED), ids=" ".join)
async def test_another_account_is_a_404_as_if_it_did_not_exist(
    world: World, kept: Made, clients: Any, people: Any, call: Call
):
    row = RIGHTS[call]
    assert row is not None
    callers = [clients["foreign", scope] for scope in row.scopes]
    callers += [people["foreign", role] for role in row.roles if role != "operator"]
    for headers in callers:
        foreign = await called(world, call, headers, kept.event.account_id, kept.event.login_id)
        missing = await called(world, call, headers, str(uuid4()))
        assert foreign == missing == (404, "not-found")
    assert await world.active(kept) is True


@pytest.mark.parametrize("path", sorted(FORMS))
async def test_a_foreign_client_or_person_sees_and_ends_nothing(
    world: World, kept: Made, clients: Any, people: Any, path: str
):
    row = RIGHTS["POST", path]
    assert row is not None
    callers = [clients["foreign", scope] for scope in row.scopes] + [people["own", role] for role in row.roles]
    for headers in callers:
        status, answer = await world.call("POST", path, data={"token": kept.token}, headers=headers)
        assert (status, answer.get("active", False)) == (200, False)
    assert await world.active(kept) is True


@calls(public=True)
async def test_a_public_call_asks_for_no_client(world: World, kept: Made, call: Call):
    _, name = await called(world, call, {}, kept.event.account_id)
    assert name in ("", "not-signed-in")


async def test_a_disabled_client_is_nobody(world: World, kept: Made):
    headers = await world.client("*", *SCOPES)
    await world.app[STORE].pool.execute(
        "UPDATE clients SET enabled = false WHERE client_id LIKE 'test-%' AND scopes = $1", list(SCOPES)
    )
    assert await called(world, ("POST", "/v1/introspect"), headers, kept.event.account_id) == (401, "unauthenticated")
