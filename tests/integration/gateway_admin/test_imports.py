import json
import secrets
from typing import Any

import bcrypt

from tests.integration.gateway_admin.conftest import PASSWORD


def ndjson(*lines: Any) -> bytes:
    return b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)


async def imported(gateway: Any, account: Any, *lines: Any, who: Any = "root") -> Any:
    path = f"/v1/accounts/{account['account_id']}/imports"
    return await gateway("POST", path, raw=ndjson(*lines), who=who)


async def test_each_line_is_answered_and_a_bad_one_does_not_stop_the_rest(gateway):
    account = await gateway.account()
    answer = await imported(
        gateway,
        account,
        {"username": "ada", "phone": "+442079460101", "two_factor": {"sms": True}},
        b"{not json",
        b"",
        {"username": "grace", "phone": "12"},
        {"username": "ADA"},
        {"username": "linus", "colour": "red"},
        b'{"username": "' + b"x" * 70_000 + b'"}',
        {"username": "edsger"},
    )
    assert answer.status == 200
    found = [(line["line"], line["status"], line.get("error")) for line in answer.data]
    assert found == [
        (1, "created", None),
        (2, "failed", "bad-request"),
        (4, "failed", "bad-phone"),
        (5, "failed", "username-taken"),
        (6, "failed", "bad-request"),
        (7, "failed", "line-too-long"),
        (8, "created", None),
    ]
    assert answer.data[0]["warnings"] == ["no-fallback-email"]
    assert answer.data[2]["field"] == "phone"


async def test_a_line_with_an_external_id_makes_or_replaces_and_a_repetition_ends_no_session(gateway):
    account = await gateway.account()
    line = {"username": "ada", "external_id": "e-1", "password": PASSWORD, "name": "Ada"}
    first = await imported(gateway, account, line)
    user_id = first.data[0]["user_id"]
    epoch = await gateway.epoch(user_id)
    again = await imported(gateway, account, {**line, "name": "Ada King"})
    assert (again.data[0]["status"], again.data[0]["user_id"]) == ("updated", user_id)
    assert await gateway.epoch(user_id) == epoch


async def test_an_imported_foreign_hash_signs_in_and_is_then_argon2id(gateway, database):
    account = await gateway.account()
    foreign = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(8)).decode()
    answer = await imported(gateway, account, {"username": "ada", "password_hash": foreign})
    body = {"account": account["name"], "username": "ada", "password": PASSWORD}
    assert (await gateway("POST", "/v1/logins", body, who=None)).status == 200
    query = "SELECT password_hash FROM users WHERE user_id = $1::text::uuid"
    assert (await database.fetchval(query, answer.data[0]["user_id"])).startswith("$argon2id$")
    assert (await gateway("POST", "/v1/logins", body, who=None)).status == 200


async def test_an_administrator_imports_no_operator(gateway, account):
    line = {"username": secrets.token_hex(4), "role": "operator", "phone": "+442079460101", "two_factor": {"sms": True}}
    answer = await imported(gateway, account, line, who=gateway.user(account["account_id"]))
    assert (answer.data[0]["status"], answer.data[0]["error"]) == ("failed", "grants-too-much")


async def test_an_import_larger_than_a_body_may_be_goes_through(gateway):
    account = await gateway.account()
    lines = [{"username": f"u{n}", "name": "x" * 180, "claims": {"pad": "y" * 900}} for n in range(300)]
    answer = await imported(gateway, account, *lines)
    assert {line["status"] for line in answer.data} == {"created"}
    assert len(answer.data) == 300


async def test_an_empty_import_is_answered_with_nothing(gateway, account):
    assert (await imported(gateway, account)).data == []


async def test_an_import_that_is_csv_or_a_form_is_a_415_and_reads_no_line(gateway):
    account = await gateway.account()
    path = f"/v1/accounts/{account['account_id']}/imports"
    for kind in ("text/csv", "multipart/form-data; boundary=x"):
        answer = await gateway("POST", path, raw=b"username\nada\n", headers={"Content-Type": kind})
        assert (answer.status, answer.data["type"]) == (415, "urn:gatepost:ndjson-required")
