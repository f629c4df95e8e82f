"""The session store's calls as docs/api.md and docs/problems.md describe them, each with its errors."""

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio

from services.session_store import listing
from services.session_store.app import NAME
from services.session_store.store import STORE
from tests.integration.session_store.world import Made, World, bearer, expire, length, revoked

FORM = "application/x-www-form-urlencoded"
FIELDS = {
    "acr": "urn:gatepost:acr:pwd+sms",
    "amr": ("pwd", "sms", "mfa"),
    "role": "admin",
    "claims": {"plan": "pro"},
    "device": "d-1",
}


class Answer(NamedTuple):
    status: int
    data: Any
    headers: Any

    @property
    def problem(self) -> str:
        assert self.headers["Content-Type"] == "application/problem+json"
        return str(self.data["type"]).removeprefix("urn:gatepost:")


async def ask(world: World, method: str, path: str, **sent: Any) -> Answer:
    given = {"headers": world.internal} | sent
    async with world.http.request(method, world.base + path, **given) as answer:
        text = await answer.read()
        json = answer.content_type.endswith("json")
        return Answer(answer.status, msgspec.json.decode(text) if json else text, answer.headers)


@pytest_asyncio.fixture(scope="module")
async def made(world: World) -> Made:
    return await world.open(days_old=1, **FIELDS)


async def introspected(world: World, token: str, headers: Any = None) -> Any:
    answer = await ask(world, "POST", "/v1/introspect", data={"token": token}, headers=headers or world.internal)
    assert answer.status == 200, answer
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.data


async def test_introspection_tells_every_field_of_a_live_session(world: World, made: Made):
    event = made.event
    born = int(event.issued_at.timestamp())
    assert await introspected(world, made.token, await world.client(event.account_id, "introspect")) == {
        "active": True,
        "sub": event.user_id,
        "account": event.account_id,
        "role": "admin",
        "claims": {"plan": "pro"},
        "device": "d-1",
        "jti": event.login_id,
        "aud": "apps",
        "iat": born,
        "exp": born + 90 * 86_400,
        "auth_time": born,
        "acr": "urn:gatepost:acr:pwd+sms",
        "amr": ["pwd", "sms", "mfa"],
        "token_type": "Bearer",
    }


async def test_the_end_that_introspection_tells_follows_the_accounts_length(world: World):
    made = await world.open(days_old=1)
    await world.publish(length(made, 30))
    asked = asyncio.get_running_loop().time() + 15
    while (told := await introspected(world, made.token))["exp"] - told["iat"] != 30 * 86_400:
        assert asyncio.get_running_loop().time() < asked
        await asyncio.sleep(0.05)


NOT_TOKENS: dict[str, Callable[[str], str]] = {
    "nothing like it": lambda token: "x",
    "cut": lambda token: token[:-1],
    "cut to its name": lambda token: token[:3],
    "longer": lambda token: token + "A",
    "with another first letter": lambda token: "gq" + token[2:],
    "with one bit changed": lambda token: token[:30] + ("A" if token[30] != "A" else "B") + token[31:],
    "a handle": lambda token: "lg" + token[2:],
    "with a space": lambda token: f" {token}",
    "no letters": lambda token: "\u2022\x00",
    "very long": lambda token: "gp_" + "A" * 5000,
}


@pytest.mark.parametrize("how", NOT_TOKENS)
async def test_what_is_no_token_of_ours_is_inactive_without_a_reason(world: World, made: Made, how: str):
    assert await introspected(world, NOT_TOKENS[how](made.token)) == {"active": False}


async def test_a_true_token_of_another_secret_is_inactive(world: World, made: Made):
    born = int(made.event.issued_at.timestamp())
    token = world.tokens.make(world.app[STORE].read(made.token).login_id, born, bytes(16))  # type: ignore[union-attr]
    assert await introspected(world, token) == {"active": False}


@pytest.mark.parametrize(
    ("account", "scopes", "aud", "seen"),
    [
        ("own", ("introspect",), "apps", True),
        ("*", ("introspect",), "apps", True),
        ("foreign", ("introspect",), "apps", False),
        ("*", ("introspect",), "gatepost", False),
        ("own", ("introspect",), "gatepost", False),
        ("*", ("internal",), "gatepost", True),
        ("*", ("internal",), "apps", True),
    ],
)
async def test_who_sees_a_session_by_introspection(world: World, account: str, scopes: Any, aud: str, seen: bool):
    made = await world.open(days_old=0.1, aud=aud)
    where = {"own": made.event.account_id, "foreign": str(uuid4())}.get(account, account)
    assert (await introspected(world, made.token, await world.client(where, *scopes)))["active"] is seen


@pytest.mark.parametrize("path", ["/v1/introspect", "/v1/revoke"])
@pytest.mark.parametrize(
    ("kind", "body", "status", "problem"),
    [
        (FORM, b"", 400, "bad-request"),
        (FORM, b"token=", 400, "bad-request"),
        (FORM, b"other=1", 400, "bad-request"),
        (FORM, b"token=a&token=b", 400, "bad-request"),
        (FORM, b"token=" + b"x" * 70_000, 413, "body-too-large"),
        ("application/json", b'{"token": "x"}', 415, "form-required"),
        ("text/plain", b"token=x", 415, "form-required"),
        (FORM, b"\xff\xfe=\x00&token=%ff%fe", 200, None),
        (f"{FORM}; charset=utf-8", b"token=x&token_type_hint=access_token", 200, None),
        (f"{FORM}; charset=nonsense", b"token=x", 200, None),
    ],
)
async def test_a_malformed_form_is_told_what_is_wrong(
    world: World, path: str, kind: str, body: bytes, status: int, problem: str | None
):
    answer = await ask(world, "POST", path, data=body, headers=world.internal | {"Content-Type": kind})
    assert answer.status == status
    if problem:
        assert answer.problem == problem


@pytest.mark.parametrize("path", ["/v1/introspect", "/v1/revoke"])
@pytest.mark.parametrize("given", ["", "Basic", "Basic !", "Basic eDp5", "Bearer gp_x", "Digest x", "Basic AAAA"])
async def test_without_good_credentials_the_answer_is_401_with_its_challenge(world: World, path: str, given: str):
    headers = {"Authorization": given} if given else {}
    answer = await ask(world, "POST", path, data={"token": "x"}, headers=headers)
    assert (answer.status, answer.problem) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


async def test_a_client_without_the_scope_gets_403(world: World):
    headers = await world.client("*", "feed", "deliveries:read", "operate")
    answer = await ask(world, "POST", "/v1/introspect", data={"token": "x"}, headers=headers)
    assert (answer.status, answer.problem) == (403, "forbidden")


@pytest.mark.parametrize("account", ["own", "foreign"])
async def test_a_client_revokes_sessions_of_its_own_account_only_and_is_always_told_200(world: World, account: str):
    made = await world.open(days_old=1)
    headers = await world.client(made.event.account_id if account == "own" else str(uuid4()), "introspect")
    for _ in range(2):
        answer = await ask(world, "POST", "/v1/revoke", data={"token": made.token}, headers=headers)
        assert (answer.status, answer.data) == (200, {})
    assert await world.active(made) is (account == "foreign")


@pytest.mark.parametrize("how", NOT_TOKENS)
async def test_revoking_what_is_no_token_is_a_200(world: World, made: Made, how: str):
    answer = await ask(world, "POST", "/v1/revoke", data={"token": NOT_TOKENS[how](made.token)})
    assert (answer.status, answer.data) == (200, {})


async def test_a_user_signs_out_with_their_own_token_and_ends_no_other(world: World):
    mine, other = await world.open(aud="gatepost"), await world.open(aud="gatepost")
    for token in (other.token, mine.token):
        answer = await ask(world, "POST", "/v1/revoke", data={"token": token}, headers=bearer(mine.token))
        assert answer.status == 200
    assert (await world.active(mine), await world.active(other)) == (False, True)


async def test_sessions_are_listed_newest_first_in_pages_and_counted_by_age(world: World):
    account, user = str(uuid4()), str(uuid4())
    opened = [world.session(days_old=days, account=account, user=user) for days in (60, 20, 6, 2, 0.5)]
    opened.append(world.session(days_old=0.5, account=account))
    for each in opened:
        await world.tell(world.signed(each.event))
    wanted = [each.event.login_id for each in reversed(opened)]
    first = await ask(world, "GET", f"/v1/sessions?account={account}&limit=4")
    assert [row["login_id"] for row in first.data["sessions"]] == wanted[:4]
    assert first.data["count_by_age"] == {"day": 2, "week": 4, "month": 5, "all": 6}
    rest = await ask(world, "GET", f"/v1/sessions?account={account}&limit=4&cursor={first.data['cursor']}")
    assert [row["login_id"] for row in rest.data["sessions"]] == wanted[4:]
    assert (rest.data["cursor"], rest.data["count_by_age"]) == (None, None)
    of_user = await ask(world, "GET", f"/v1/sessions?account={account}&user={user}")
    assert [row["login_id"] for row in of_user.data["sessions"]] == wanted[1:]
    assert of_user.data["count_by_age"]["all"] == 5


async def test_a_row_of_the_list_says_whose_session_it_is_how_it_began_and_when_it_ends(world: World, made: Made):
    (row,) = (await ask(world, "GET", f"/v1/sessions?account={made.event.account_id}")).data["sessions"]
    begun, ends = (datetime.fromisoformat(row.pop(name)) for name in ("issued_at", "expires_at"))
    assert (begun, (ends - begun).days) == (made.event.issued_at, 90)
    assert row == {
        "login_id": made.event.login_id,
        "user_id": made.event.user_id,
        "device": "d-1",
        "acr": "urn:gatepost:acr:pwd+sms",
        "aud": "apps",
    }


async def test_the_list_and_its_count_hold_what_introspection_calls_active(world: World):
    """The rule stands twice, in SQL for lists and in Python for tokens: here they meet."""
    account = str(uuid4())
    ages = (0.01, 0.4, 0.6, 5, 29, 31, 61, 89, 91)
    opened = [world.session(days_old=days, account=account) for days in ages]
    opened += [world.session(days_old=days, account=account, aud="gatepost") for days in ages]
    opened += [world.session(days_old=3, account=account, user_epoch=5, account_epoch=5) for _ in range(3)]
    for each in opened:
        await world.tell(world.signed(each.event))
    steps = [
        length(opened[0], 60, days_ago=50),
        revoked(opened[3]),
        expire(opened[-1], "user", 9),
        length(opened[0], 90, days_ago=20),
        length(opened[0], 30),
        expire(opened[0], "account", 4),
    ]
    for step in [None, *steps]:
        if step is not None:
            await world.tell(world.signed(step))
        alive = {each.event.login_id for each in opened if await world.active(each)}
        answer = await ask(world, "GET", f"/v1/sessions?account={account}&limit=200")
        assert {row["login_id"] for row in answer.data["sessions"]} == alive
        assert answer.data["count_by_age"]["all"] == len(alive)
    assert len(alive) == 2


async def test_sessions_are_counted_by_their_age_up_to_a_number(world: World, monkeypatch: pytest.MonkeyPatch):
    """What the preview of a session length says: how many sessions it would end."""
    account, user, day = str(uuid4()), str(uuid4()), 86_400
    for days, whose in ((60, user), (31, user), (29, user), (0.1, str(uuid4()))):
        begun = listing.first_after(time.time() - days * day - 1)  # before the session was opened
        at = UUID(int=begun.int | secrets.randbits(62))
        await world.tell(world.signed(world.session(days_old=days, account=account, user=whose, login_id=at).event))
    for asked, many in (("", 4), (f"&user={user}", 3), (f"&older_than={30 * day}", 2), (f"&older_than={90 * day}", 0)):
        answer = await ask(world, "GET", f"/v1/sessions/count?account={account}{asked}")
        assert answer.data == {"count": many, "capped": False}, asked
    await world.tell(world.signed(length(world.session(account=account), 30)))
    assert (await ask(world, "GET", f"/v1/sessions/count?account={account}")).data["count"] == 2
    monkeypatch.setattr(listing, "MOST", 1)
    assert (await ask(world, "GET", f"/v1/sessions/count?account={account}")).data == {"count": 1, "capped": True}
    for bad in ("older_than=-1", "older_than=x", "older_than=31536001"):
        assert (await ask(world, "GET", f"/v1/sessions/count?account={account}&{bad}")).status == 400


@pytest.mark.parametrize(
    "asked",
    ["", "?account=x", "?account={0}&limit=0", "?account={0}&limit=201", "?account={0}&cursor=x", "?account={0}&a=b"],
)
async def test_a_list_asked_for_wrongly_is_a_400(world: World, asked: str):
    answer = await ask(world, "GET", "/v1/sessions" + asked.format(uuid4()))
    assert (answer.status, answer.problem) == (400, "bad-request")


async def test_another_accounts_list_is_a_404(world: World, made: Made):
    headers = await world.client(str(uuid4()), "accounts:write")
    answer = await ask(world, "GET", f"/v1/sessions?account={made.event.account_id}", headers=headers)
    assert (answer.status, answer.problem) == (404, "not-found")


async def test_one_session_is_ended_by_its_login_id_and_may_be_again(world: World):
    made, other = await world.open(days_old=1), await world.open(days_old=1)
    for _ in range(2):
        answer = await ask(world, "DELETE", f"/v1/sessions/{made.event.login_id}")
        assert (answer.status, answer.data) == (200, {"effective": "now"})
        assert (await world.active(made), await world.active(other)) == (False, True)


async def test_ending_what_is_not_there_and_what_is_anothers_are_the_same_404(world: World, made: Made):
    headers = await world.client(str(uuid4()), "accounts:write")
    for login_id in (made.event.login_id, str(uuid4()), "x"):
        answer = await ask(world, "DELETE", f"/v1/sessions/{login_id}", headers=headers)
        assert (answer.status, answer.data["detail"]) == (404, "There is no such session.")
    assert await world.active(made) is True


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({"events": []}, 400, "bad-request"),
        ({}, 400, "bad-request"),
        ({"events": [{"topic": "session-events", "key": "", "value": "!"}]}, 400, "bad-request"),
        ({"events": [{"topic": "clients", "key": "", "value": ""}]}, 400, "bad-event"),
        ({"events": [{"topic": "session-events", "key": "", "value": ""}]}, 400, "bad-event"),
        ({"events": [{"topic": "session-events", "key": "", "value": "e30="}]}, 400, "bad-event"),
        ({"events": [{"topic": "x" * 1024 * 1024, "key": "", "value": ""}]}, 413, "body-too-large"),
    ],
)
async def test_a_bad_call_of_the_second_road_says_so(world: World, body: Any, status: int, problem: str):
    answer = await ask(world, "POST", "/v1/events", json=body)
    assert (answer.status, answer.problem) == (status, problem)


async def test_the_metadata_name_addresses_that_answer(world: World):
    metadata = (await ask(world, "GET", "/.well-known/oauth-authorization-server", headers={})).data
    assert metadata["issuer"] == world.base
    for name in ("introspection", "revocation"):
        assert metadata[f"{name}_endpoint_auth_methods_supported"] == ["client_secret_basic"]
        path = metadata[f"{name}_endpoint"].removeprefix(world.base)
        assert (await ask(world, "POST", path, data={"token": "x"})).status == 200


async def test_the_metadata_name_the_public_url_and_no_host_that_a_caller_makes_up(world: World, stack: Any):
    url = stack.environment.url("session-store")
    asked = f"{url}/.well-known/oauth-authorization-server"
    async with world.http.get(asked, headers={"Host": "evil.example"}) as answer:
        metadata = await answer.json()
    assert (metadata["issuer"], metadata["introspection_endpoint"]) == (url, f"{url}/v1/introspect")


async def test_health_readiness_metrics_and_description_need_no_credentials(world: World):
    assert (await ask(world, "GET", "/healthz", headers={})).data == {"status": "ok", "service": NAME}
    ready = await ask(world, "GET", "/readyz", headers={})
    assert (ready.status, ready.data["status"]) == (200, "ready")
    assert b"gatepost_session_checks_total" in (await ask(world, "GET", "/metrics", headers={})).data
    described = (await ask(world, "GET", "/openapi.json", headers={})).data
    assert (described["openapi"], "/v1/introspect" in described["paths"]) == ("3.1.0", True)


async def test_an_unknown_address_and_a_wrong_method_are_problems_too(world: World):
    assert (await ask(world, "GET", "/v1/nothing")).problem == "not-found"
    answer = await ask(world, "PUT", "/v1/introspect")
    assert (answer.status, answer.problem, answer.headers["Allow"]) == (405, "method-not-allowed", "POST")


async def test_times_are_in_utc(world: World, made: Made):
    (row,) = (await ask(world, "GET", f"/v1/sessions?account={made.event.account_id}")).data["sessions"]
    assert datetime.fromisoformat(row["issued_at"]).tzinfo == UTC
