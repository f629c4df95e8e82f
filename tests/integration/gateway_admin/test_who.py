"""Walks the who table: every call, with every scope, every role, a stale sign-in and a foreign account."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from services.login_gateway.who import BRAND, PUBLIC, RIGHTS
from services.platform.cli import basic
from services.platform.clock import new_id
from services.platform.scopes import SCOPES

ROLES = ("user", "admin", "operator")


def calls(wanted: Callable[[str, Any], bool]) -> pytest.MarkDecorator:
    """The rows of the table that are wanted, as parameters."""
    found = [(method, path, row) for (method, path), row in RIGHTS.items() if wanted(path, row)]
    return pytest.mark.parametrize(("method", "path", "row"), found, ids=[f"{m} {p}" for m, p, _ in found])


def guarded(wanted: Callable[[str, Any], bool] = lambda path, row: True) -> pytest.MarkDecorator:
    return calls(lambda path, row: row is not PUBLIC and wanted(path, row))


@pytest_asyncio.fixture(scope="session")
async def clients(gateway, account):
    """One client of account * for each scope, and the same of another account."""
    other = await gateway.account()
    return {
        (place, scope): await gateway.client(where, scope)
        for scope in sorted(SCOPES)
        for place, where in (("every", "*"), ("own", account["account_id"]), ("foreign", other["account_id"]))
    }


def address(path: str, account: Any) -> str:
    """A real account; everything else does not exist, so that no allowed call does harm."""
    known = {"account": account["account_id"], "user": new_id(), "client_id": "cl_none", "external_id": "e-none"}
    return path.format(**known, login="lg_none", reference="r-none")


async def called(gateway: Any, method: str, path: str, account: Any, who: Any) -> tuple[int, str]:
    answer = await gateway(method, address(path, account), None if method in ("GET", "DELETE") else {}, who=who)
    return answer.status, answer.data["type"].removeprefix("urn:gatepost:") if answer.status >= 400 else ""


def registered(gateway: Any) -> Any:
    return {(route.method, route.resource.canonical) for route in gateway.app.router.routes() if route.method != "HEAD"}


async def test_every_call_of_the_application_is_in_the_table(gateway):
    calls = {(method, path) for method, path in registered(gateway) if path.startswith("/v1/")}
    assert calls == RIGHTS.keys()


@guarded()
async def test_without_good_credentials_nothing_is_answered(gateway, account, method, path, row):
    broken: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Basic !"},
        {"Authorization": basic("cl_none:x")},
        {"Authorization": "Bearer gp_x"},
    )
    for who in broken:
        assert await called(gateway, method, path, account, who) == (401, "unauthenticated")


@guarded()
async def test_a_client_is_let_in_by_its_scopes_only(gateway, account, clients, method, path, row):
    place = "every" if row.installation else "own"
    for scope in SCOPES:
        status, name = await called(gateway, method, path, account, clients[place, scope])
        if scope in row.scopes:
            assert name not in ("unauthenticated", "forbidden"), scope
        else:
            assert (status, name) == (403, "forbidden"), scope


@guarded()
async def test_a_user_is_let_in_by_their_role_only(gateway, account, method, path, row):
    for role in ROLES:
        status, name = await called(gateway, method, path, account, gateway.user(account["account_id"], role))
        if role in row.roles:
            assert name not in ("unauthenticated", "forbidden", "fresh-sign-in-required"), role
        else:
            assert (status, name) == (403, "forbidden"), role


@guarded(lambda path, row: row.fresh)
async def test_a_sensitive_call_asks_a_user_for_a_fresh_sign_in(gateway, account, method, path, row):
    stale = gateway.user(account["account_id"], "admin", timedelta(minutes=16))
    assert await called(gateway, method, path, account, stale) == (401, "fresh-sign-in-required")


@guarded(lambda path, row: "{account}" in path)
async def test_another_accounts_id_is_a_404_as_if_it_did_not_exist(gateway, account, clients, method, path, row):
    other = await gateway.account()
    callers = [clients["foreign", scope] for scope in row.scopes]
    callers += [gateway.user(other["account_id"], role) for role in row.roles if role != "operator"]
    nowhere = {"account_id": str(new_id())}
    for who in callers:
        foreign = await gateway(method, address(path, account), body_of(method, path, account), who=who)
        missing = await gateway(method, address(path, nowhere), body_of(method, path, account), who=who)
        assert (foreign.status, foreign.data) == (404, missing.data)


def body_of(method: str, path: str, account: Any) -> Any:
    """A body that passes where the body is read before the account."""
    if path == BRAND:
        return {"name": "x"} if method == "PUT" else None
    return {"POST": {"confirm": account["name"]}, "PATCH": {}, "PUT": {"username": "u"}}.get(method)


@guarded(lambda path, row: row.installation)
async def test_what_concerns_the_whole_installation_needs_account_star(gateway, account, clients, method, path, row):
    for scope in row.scopes:
        assert await called(gateway, method, path, account, clients["own", scope]) == (403, "forbidden")


@calls(lambda path, row: row is PUBLIC)
async def test_a_public_call_asks_for_no_credentials(gateway, account, method, path, row):
    status, name = await called(gateway, method, path, account, {})
    assert name not in ("unauthenticated", "forbidden")
    assert status >= 400


async def test_a_cookie_is_no_credential(gateway):
    assert (await gateway("GET", "/v1/accounts", who={"Cookie": "__Host-gatepost=gp_x"})).status == 401
