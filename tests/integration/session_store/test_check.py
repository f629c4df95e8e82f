"""Forward auth as a proxy asks for it, with its errors, and what a dead token may cost."""

import time
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import pytest_asyncio

from services.session_store.reader import MISSED_SECONDS
from services.session_store.store import STORE
from tests.integration.session_store.test_calls import FIELDS, ask
from tests.integration.session_store.world import Made, World, bearer, expire

SMS, MAIL = quote("urn:gatepost:acr:pwd+sms"), quote("urn:gatepost:acr:pwd+email")


@pytest_asyncio.fixture(scope="module")
async def made(world: World) -> Made:
    return await world.open(days_old=1, **FIELDS)


def by_cookie(token: str, name: str = "__Host-gatepost") -> dict[str, str]:
    return {"Cookie": f"theme=dark; {name}={token}"}


async def checked(world: World, made: Made, headers: dict[str, str]) -> int:
    return (await ask(world, "GET", f"/v1/check?account={made.event.account_id}", headers=headers)).status


async def test_it_tells_who_it_is_by_bearer_or_by_cookie(world: World, made: Made):
    path = f"/v1/check?account={made.event.account_id}"
    for headers in (bearer(made.token), by_cookie(made.token), by_cookie(made.token) | bearer("the.apps.own")):
        answer = await ask(world, "GET", path, headers=headers)
        assert (answer.status, answer.data) == (200, b"")
        told = {name: answer.headers[f"X-Gatepost-{name}"] for name in ("User", "Account", "Role")}
        assert told == {"User": made.event.user_id, "Account": made.event.account_id, "Role": "admin"}
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("asked", "status", "problem"),
    [
        ("account={own}&role=admin", 200, None),
        ("account={own}&role=operator,admin", 200, None),
        ("account={own}&acr=" + SMS, 200, None),
        ("account={own}&acr=urn:gatepost:acr:pwd+sms", 200, None),
        (f"account={{own}}&acr={MAIL},{SMS}", 200, None),
        ("account={own}&role=admin&acr=" + SMS, 200, None),
        ("account={own}&role=user", 403, "forbidden"),
        ("account={own}&acr=" + MAIL, 403, "forbidden"),
        ("account={own}&role=admin&acr=" + MAIL, 403, "forbidden"),
        ("account={other}", 403, "forbidden"),
        ("account=demo", 400, "bad-request"),
        ("", 400, "bad-request"),
        ("role=admin", 400, "bad-request"),
        ("account={own}&role=root", 400, "bad-request"),
        ("account={own}&acr=sms", 400, "bad-request"),
        ("account={own}&role=", 400, "bad-request"),
        ("account={own}&account={own}", 400, "bad-request"),
        ("account={own}&group=x", 400, "bad-request"),
    ],
)
async def test_it_lets_in_whom_the_proxy_asked_for(
    world: World, made: Made, asked: str, status: int, problem: str | None
):
    path = "/v1/check?" + asked.format(own=made.event.account_id, other=uuid4())
    answer = await ask(world, "GET", path, headers=bearer(made.token))
    assert answer.status == status
    assert ("X-Gatepost-User" in answer.headers) is (status == 200)
    if problem:
        assert answer.problem == problem


@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer gp_x"}, {"Cookie": "__Host-gatepost=x"}, {"Cookie": "a"}]
)
async def test_without_a_live_session_it_is_a_401(world: World, made: Made, given: dict[str, str]):
    answer = await ask(world, "GET", f"/v1/check?account={made.event.account_id}", headers=given)
    assert (answer.status, answer.problem, answer.headers["WWW-Authenticate"]) == (401, "not-signed-in", "Bearer")
    assert not {"X-Gatepost-User", "Gatepost-Return-To"} & set(answer.headers)


async def test_a_session_of_the_consoles_opens_no_application(world: World):
    console = await world.open(aud="gatepost", **FIELDS)
    assert await checked(world, console, bearer(console.token)) == 401
    assert await checked(world, console, by_cookie(console.token)) == 401
    assert await checked(world, console, by_cookie(console.token, "__Host-gatepost-console")) == 401


async def test_ending_a_users_sessions_ends_the_door_too(world: World):
    made = await world.open(days_old=1)
    assert await checked(world, made, by_cookie(made.token)) == 200
    await world.tell(world.signed(expire(made, "user")))
    assert await checked(world, made, by_cookie(made.token)) == 401


async def test_the_cookie_of_a_domain_counts_only_where_one_is_set(world: World, made: Made):
    """Any host below the domain can set it: where hosts do not share a session, it is somebody else's."""
    assert await checked(world, made, by_cookie(made.token, "__Secure-gatepost")) == 401


async def test_the_401_says_where_to_come_back_to(world: World, made: Made):
    asked = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example.com", "X-Forwarded-Uri": "/r?a=1&b=2"}
    answer = await ask(world, "GET", f"/v1/check?account={made.event.account_id}", headers=asked)
    assert answer.status == 401
    assert answer.headers["Gatepost-Return-To"] == quote("https://app.example.com/r?a=1&b=2", safe="")


async def test_a_dead_token_asked_for_a_thousand_times_costs_the_database_next_to_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """True by its MAC, and nobody knows it any more: purged long ago."""
    made, looks = world.session(days_old=400), 0
    reader = world.app[STORE].reader
    fetch = reader._fetch

    async def counted(login_id: Any) -> Any:
        nonlocal looks
        looks += 1
        return await fetch(login_id)

    monkeypatch.setattr(reader, "_fetch", counted)
    begun = time.monotonic()
    assert {await checked(world, made, bearer(made.token)) for _ in range(1000)} == {401}
    assert 1 <= looks <= 1 + (time.monotonic() - begun) / MISSED_SECONDS


async def test_a_session_heard_of_after_it_was_asked_for_is_found(world: World):
    made = world.session(days_old=1)
    assert await checked(world, made, bearer(made.token)) == 401
    await world.tell(world.signed(made.event))
    assert await checked(world, made, bearer(made.token)) == 200
