from typing import Any

import pytest

from services.platform.cli import basic

EVERY_SCOPE = ("introspect", "feed", "deliveries:read", "deliveries:replay", "accounts:write")


def headers(client: Any) -> dict[str, str]:
    return {"Authorization": basic(f"{client['client_id']}:{client['client_secret']}")}


async def made(gateway: Any, account: Any, *scopes: str, who: Any = "root") -> Any:
    body = {"scopes": list(scopes), "account": account["account_id"], "name": "test"}
    return await gateway("POST", "/v1/clients", body, who=who)


async def test_a_client_is_made_announced_signed_and_its_secret_is_shown_once(gateway, account, heard, database):
    answer = await made(gateway, account, "accounts:write")
    assert answer.status == 201
    secret, client_id = answer.data["client_secret"], answer.data["client_id"]
    assert len(secret) >= 43
    shown = await gateway("GET", f"/v1/clients/{client_id}")
    assert "client_secret" not in shown.data
    event = await heard.wait(lambda e: getattr(e, "client_id", "") == client_id)
    assert (event.account, event.scopes, event.enabled) == (account["account_id"], ("accounts:write",), True)
    row = await database.fetchrow("SELECT * FROM clients WHERE client_id = $1", client_id)
    assert secret not in repr(dict(row))
    assert (await gateway("GET", "/v1/accounts", who=headers(answer.data))).status == 200


async def test_a_disabled_client_is_refused_and_the_revision_only_rises(gateway, account, heard):
    client = (await made(gateway, account, "accounts:write")).data
    path = f"/v1/clients/{client['client_id']}"
    assert (await gateway("GET", "/v1/accounts", who=headers(client))).status == 200
    off = await gateway("PATCH", path, {"enabled": False})
    assert off.data["revision"] > client["revision"]
    assert (await gateway("GET", "/v1/accounts", who=headers(client))).status == 401
    event = await heard.wait(lambda e: getattr(e, "client_id", "") == client["client_id"] and not e.enabled)
    assert event.revision == off.data["revision"]
    assert (await gateway("PATCH", path, {"enabled": True})).data["revision"] > off.data["revision"]


async def test_a_rotated_secret_replaces_the_old_one(gateway, account):
    client = (await made(gateway, account, "accounts:write")).data
    assert (await gateway("GET", "/v1/accounts", who=headers(client))).status == 200
    rotated = (await gateway("PATCH", f"/v1/clients/{client['client_id']}", {"rotate_secret": True})).data
    assert rotated["client_secret"] != client["client_secret"]
    assert (await gateway("GET", "/v1/accounts", who=headers(client))).status == 401
    assert (await gateway("GET", "/v1/accounts", who=headers(rotated))).status == 200


@pytest.mark.parametrize("scopes", [["internal"], ["feed"], ["operate", "internal"]])
async def test_a_client_grants_no_scope_that_it_does_not_hold(gateway, account, scopes):
    answer = await made(gateway, account, *scopes)
    assert (answer.status, answer.data["type"]) == (403, "urn:gatepost:grants-too-much")


async def test_account_star_and_operate_come_only_from_a_client_that_has_both(gateway, account):
    own = await gateway.client(account["account_id"], "accounts:write", "operate")
    wide = await gateway.client("*", "accounts:write")
    for who, body in (
        (own, {"scopes": ["operate"]}),
        (own, {"scopes": ["accounts:write"], "account": "*"}),
        (wide, {"scopes": ["accounts:write"], "account": "*"}),
    ):
        assert (await gateway("POST", "/v1/clients", body, who=who)).status in (403, 404), body
    assert (await gateway("POST", "/v1/clients", {"scopes": ["operate"], "account": "*"})).status == 201


async def test_an_administrator_grants_what_belongs_to_the_account_and_no_more(gateway, account):
    admin = gateway.user(account["account_id"])
    answer = await gateway("POST", "/v1/clients", {"scopes": list(EVERY_SCOPE)}, who=admin)
    assert (answer.status, answer.data["account"]) == (201, account["account_id"])
    for body in ({"scopes": ["operate"]}, {"scopes": ["internal"]}, {"scopes": ["feed"], "account": "*"}):
        assert (await gateway("POST", "/v1/clients", body, who=admin)).status == 403, body
    other = await gateway.account()
    assert (await made(gateway, other, "feed", who=admin)).status == 404


async def test_nobody_edits_a_client_that_holds_more_than_they(gateway, account):
    feeder = (await gateway.client(account["account_id"], "feed"))["Authorization"]
    writer = await gateway.client(account["account_id"], "accounts:write")
    listed = (await gateway("GET", "/v1/clients", who=writer)).data["clients"]
    target = next(client for client in listed if client["scopes"] == ["feed"])
    for body in ({"rotate_secret": True}, {"scopes": ["accounts:write"]}, {"enabled": False}):
        answer = await gateway("PATCH", f"/v1/clients/{target['client_id']}", body, who=writer)
        assert answer.status == 403, body
    assert feeder


async def test_another_accounts_client_does_not_exist(gateway, account):
    foreign = (await made(gateway, await gateway.account(), "accounts:write")).data
    for who in (gateway.user(account["account_id"]), await gateway.client(account["account_id"], "accounts:write")):
        for method, body in (("GET", None), ("PATCH", {"enabled": False})):
            assert (await gateway(method, f"/v1/clients/{foreign['client_id']}", body, who=who)).status == 404
        listed = (await gateway("GET", "/v1/clients", who=who)).data["clients"]
        assert {client["account"] for client in listed} <= {account["account_id"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"scopes": ["everything"]}, 400),
        ({"scopes": [], "account": "*"}, 422),
        ({"scopes": ["accounts:write"]}, 422),
        ({"scopes": ["accounts:write"], "account": "no-such-account"}, 404),
        ({"scopes": ["accounts:write"], "account": "*", "name": "x" * 101}, 422),
        ({"scopes": ["accounts:write"], "account": "*", "name": "\u0000"}, 422),
    ],
)
async def test_a_bad_client_is_refused(gateway, body, status):
    assert (await gateway("POST", "/v1/clients", body)).status == status


async def test_a_client_that_does_not_exist_is_a_404(gateway):
    for client_id in ("cl_0000", "%00", "command-line"):
        assert (await gateway("GET", f"/v1/clients/{client_id}")).status == 404


async def test_a_change_of_a_client_is_audited(gateway, account):
    client = (await made(gateway, account, "accounts:write")).data
    await gateway("PATCH", f"/v1/clients/{client['client_id']}", {"rotate_secret": True})
    lines = await gateway.audit(client["client_id"])
    assert [line["action"] for line in lines] == ["client.created", "client.changed"]
    assert lines[-1]["details"]["rotated"] is True
