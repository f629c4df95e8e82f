"""Every call that takes a body meets every bad body; and the problems that belong to one call only."""

import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from services.login_gateway.who import ACCOUNT, BRAND, PUBLIC, RIGHTS, USER
from services.platform.clock import new_id
from tests.integration.gateway_admin.conftest import PASSWORD

WITHOUT_BODY = {f"{USER}/expire-sessions", f"{USER}/unlock", f"{ACCOUNT}/imports"}  # an import answers line by line
WITH_BODY = [(m, p) for m, p in RIGHTS if m in ("POST", "PUT", "PATCH") and p not in WITHOUT_BODY]
BAD_BODIES = {
    "broken": b'{"name": ',
    "no-utf-8": b'{"name": "\xff"}',
    "number": b"7",
    "list": b"[]",
    "text": b'"text"',
    "null": b"null",
    "unknown-field": b'{"surprise_of_2030": 1}',
    "deep": b'{"claims": {"x": ' + b"[" * 20_000,
}
calls = pytest.mark.parametrize(("method", "path"), WITH_BODY, ids=[f"{m} {p}" for m, p in WITH_BODY])


@pytest_asyncio.fixture(scope="session")
async def places(gateway: Any) -> dict[str, str]:
    """Something real for every name in a path, and who may feed there."""
    account = await gateway.account()
    mail = {"email": f"{secrets.token_hex(6)}@example.com", "two_factor": {"email": True}}
    user = await gateway.make(account, external_id=secrets.token_hex(6), **mail)
    client = await gateway("POST", "/v1/clients", {"scopes": ["accounts:write"], "account": account["account_id"]})
    feeder = await gateway.client(account["account_id"], "feed")
    sign_in = {"account": account["name"], "username": user["username"], "password": PASSWORD}
    login = await gateway("POST", "/v1/logins", sign_in, who=None)
    fed = {"reference": f"ref-{secrets.token_hex(6)}x", "user": {"user_id": user["user_id"]}}
    fed["authenticated_at"] = datetime.now(UTC).isoformat()
    await gateway("POST", "/v1/feed/logins", {"logins": [fed]}, who=feeder)
    return {
        "account": account["account_id"],
        "user": user["user_id"],
        "external_id": user["external_id"],
        "client_id": client.data["client_id"],
        "login": login.data["login"],
        "reference": fed["reference"],
        "feeder": feeder["Authorization"],
    }


async def sent(gateway: Any, places: dict[str, str], method: str, path: str, raw: bytes) -> tuple[int, str]:
    who: Any = {"Authorization": places["feeder"]} if "/feed/" in path else "root"
    who = None if RIGHTS[method, path] is PUBLIC else who
    answer = await gateway(method, path.format(**places), who=who, raw=raw)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.data["detail"]
    return answer.status, answer.data["type"]


@calls
@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_that_is_none_is_a_400_whatever_the_call(gateway, places, method, path, body):
    assert await sent(gateway, places, method, path, body) == (400, "urn:gatepost:bad-request")


@calls
async def test_a_body_over_the_limit_is_a_413_whatever_the_call(gateway, places, method, path):
    size = 1024 * 1024 if path == "/v1/feed/logins" else 64 * 1024
    assert await sent(gateway, places, method, path, b" " * (size + 1)) == (413, "urn:gatepost:body-too-large")


async def test_the_bad_bodies_have_changed_nothing(gateway, places):
    user = await gateway("GET", USER.format(**places))
    assert (user.data["version"], user.data["locked"]) == (1, False)
    login = await gateway("GET", f"/v1/logins/{places['login']}", who=None)
    assert (login.data["status"], login.data["attempts_left"]) == ("code_required", 5)


@pytest.mark.parametrize("confirm", ["", "nobody", "DEMO"])
async def test_clear_all_without_the_accounts_name_ends_nothing(gateway, places, confirm):
    before = await gateway.admin.pool.fetchval("SELECT epoch FROM accounts WHERE account_id = $1", places["account"])
    answer = await gateway("POST", f"/v1/accounts/{places['account']}/expire-sessions", {"confirm": confirm})
    assert (answer.status, answer.data["type"]) == (400, "urn:gatepost:not-confirmed")
    after = await gateway.admin.pool.fetchval("SELECT epoch FROM accounts WHERE account_id = $1", places["account"])
    assert before == after


@pytest.mark.parametrize(
    ("body", "name", "field"),
    [
        ({"scopes": []}, "bad-scopes", "scopes"),
        ({"scopes": ["accounts:write"], "name": "x" * 101}, "bad-name", "name"),
        ({"scopes": ["accounts:write"], "account": None}, "account-needed", "account"),
    ],
)
async def test_what_is_wrong_with_a_client_is_named(gateway, places, body, name, field):
    answer = await gateway("POST", "/v1/clients", {"account": places["account"]} | body)
    assert (answer.status, answer.data["type"], answer.data["field"]) == (422, f"urn:gatepost:{name}", field)


@pytest.mark.parametrize("path", ["/v1/accounts/{account}", "/v1/logins", "/v1/clients/{client_id}"])
async def test_another_method_is_a_405_that_names_the_known_ones(gateway, places, path):
    answer = await gateway("TRACE" if path == "/v1/logins" else "POST", path.format(**places))
    assert (answer.status, answer.data["type"]) == (405, "urn:gatepost:method-not-allowed")
    assert answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/v1", "/v1/nothing", "/v1/accounts/{account}/nothing", "/v1/introspect"])
async def test_an_address_that_is_none_or_of_another_service_is_a_404(gateway, places, path):
    answer = await gateway("GET", path.format(**places))
    assert (answer.status, answer.data["type"]) == (404, "urn:gatepost:not-found")


async def test_a_user_of_another_account_is_a_404_for_every_call_about_a_user(gateway, places):
    other = await gateway.account()
    bodies = {"PATCH": {"name": "x"}, f"{USER}/password": {"password": PASSWORD}}
    for method, path in RIGHTS:
        if path.startswith(USER):
            place = path.format(account=other["account_id"], user=places["user"])
            answer = await gateway(method, place, bodies.get(path) or bodies.get(method))
            assert (answer.status, answer.data["type"]) == (404, "urn:gatepost:not-found"), (method, path)


async def test_an_account_that_nobody_has_is_a_404_for_every_call_about_one(gateway):
    for method, path in RIGHTS:
        if path.startswith(ACCOUNT):
            place = path.format(account=new_id(), user=new_id(), external_id="e")
            body = {"confirm": "x"} if path == f"{ACCOUNT}/expire-sessions" else {"username": "x"}
            body = (
                {"password": PASSWORD}
                if path.endswith("/password")
                else {}
                if method == "PATCH" or path == BRAND
                else body
            )
            answer = await gateway(method, place, None if method in ("GET", "DELETE") else body)
            assert (answer.status, answer.data["type"]) == (404, "urn:gatepost:not-found"), (method, path)
