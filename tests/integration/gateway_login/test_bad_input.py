"""Bad input: a clear problem, and nothing counted."""

import base64
import gzip
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.gateway_login.world import PASSWORD, Desk

GOOD: dict[str, Any] = {"account": "nowhere", "username": "somebody", "password": PASSWORD}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"username": "a"}',
        b'{"username": 7, "password": "x"}',
        b'{"username": "", "password": "x"}',
        b'{"username": "a", "password": ""}',
        b'{"username": "a", "password": "x", "surprise": true}',
        b'{"username": "a", "password": "x", "audience": "moon"}',
        b'{"username": "a", "password": "x", "context": {"ip": 7}}',
        b'{"username": "' + b"a" * 300 + b'", "password": "x"}',
        b'{"username": "a", "password": "' + b"x" * 2000 + b'"}',
        b'{"username": "a", "password": "x", "context": {"locale": "' + b"x" * 600 + b'"}}',
    ],
)
async def test_a_malformed_sign_in_is_a_400_that_says_why(desk: Desk, body: bytes) -> None:
    answer = await desk("POST", "/v1/logins", raw=body)
    assert (answer.status, answer.problem) == (400, "bad-request")
    assert answer.data["detail"]
    assert answer.headers["Content-Type"].startswith("application/problem+json")


async def test_a_body_over_the_limit_is_a_413(desk: Desk) -> None:
    answer = await desk("POST", "/v1/logins", raw=b'{"username": "' + b"a" * 70_000 + b'"}')
    assert (answer.status, answer.problem) == (413, "body-too-large")


@pytest.mark.parametrize("field", ["account", "username", "password"])
async def test_a_nul_in_a_sign_in_is_no_error_of_ours(desk: Desk, field: str) -> None:
    answer = await desk("POST", "/v1/logins", GOOD | {field: "a\x00b"})
    assert answer.status in (400, 401)


@pytest.mark.parametrize("field", ["locale", "origin", "device_id"])
async def test_a_nul_in_the_context_is_no_error_of_ours(desk: Desk, field: str) -> None:
    who = await desk.member()
    assert (await desk.sign_in(who, more={"context": {field: "a\x00b"}})).status in (202, 400)


@pytest.mark.parametrize("account", ["nowhere", "", "x" * 5000, "' OR 1=1 --", str(uuid4())])
async def test_an_unknown_account_reads_like_a_wrong_password(desk: Desk, account: str) -> None:
    answer = await desk("POST", "/v1/logins", GOOD | {"account": account})
    assert answer.status in (400, 401)


@pytest.mark.parametrize("key", ["short", "x" * 65, "x" * 21, "ä" * 30])
async def test_an_idempotency_key_of_the_wrong_form_is_a_400(desk: Desk, key: str) -> None:
    assert (await desk("POST", "/v1/logins", GOOD, Idempotency_Key=key)).status == 400


@pytest.mark.parametrize(
    "code", ["", "abcdef", "12345", "12345678901", "１２３４５６", "12345\x00", "1234.5", "9" * 5000]
)
async def test_what_is_no_code_is_a_400_and_no_try(desk: Desk, code: str) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    await desk.pool.execute("UPDATE logins SET digits = 8 WHERE login_id = $1::text::uuid", login["login_id"])
    answer = await desk.verify(login, code)
    assert (answer.status, answer.problem) == (400, "bad-request")
    assert answer.data["detail"] == "That is no code: yours has 8 digits. It cost no try."
    assert (await desk.guard(who))["wrong"] == 0


@pytest.mark.parametrize("body", [b"", b"{}", b'{"code": 123456}', b'{"code": "123456", "more": 1}', b'"123456"'])
async def test_a_malformed_verify_is_a_400_and_no_try(desk: Desk, body: bytes) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    assert (await desk("POST", f"/v1/logins/{login['login']}/verify", raw=body)).status == 400
    assert (await desk.guard(who))["wrong"] == 0


async def test_forged_cut_and_foreign_handles_are_404(desk: Desk) -> None:
    signed_in = await desk.sign_in(await desk.member(sms=False))
    login = await desk.challenged(await desk.member())
    good: str = login["login"]
    raw = bytearray(base64.urlsafe_b64decode(good[3:] + "=" * (-len(good[3:]) % 4)))
    raw[10] ^= 1
    altered = "lg_" + base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
    for forged in (altered, good[:-2], good + "A", "lg_", good[3:], login["login_id"], signed_in.data["token"], "-"):
        for method, end in (("GET", ""), ("POST", "/verify"), ("POST", "/resend"), ("GET", "/events")):
            body = {"code": "123456"} if end == "/verify" else None
            assert (await desk(method, f"/v1/logins/{forged}{end}", body)).status == 404
    assert (await desk("GET", f"/v1/logins/{good}")).data["attempts_left"] == 5


@pytest.mark.parametrize("body", [{"channel": "fax"}, {"channel": 7}, {"chanel": "sms"}])
async def test_a_malformed_resend_is_a_400(desk: Desk, body: dict[str, Any]) -> None:
    login = await desk.challenged(await desk.member())
    assert (await desk("POST", f"/v1/logins/{login['login']}/resend", body)).status == 400


async def test_a_disabled_user_reads_like_a_wrong_password(desk: Desk) -> None:
    answer = await desk.sign_in(await desk.member(disabled=True))
    assert (answer.status, answer.problem) == (401, "invalid-credentials")


async def test_nobody_but_a_client_says_whose_address_it_is(desk: Desk) -> None:
    who = await desk.member(sms=False)
    more = {"context": {"ip": "203.0.113.9"}}
    assert (await desk.sign_in(who, more=more)).status == 200
    assert (await desk.sign_in(who, more=more, Authorization="Basic eDp5")).status == 401


async def test_a_compressed_body_is_refused(desk: Desk) -> None:
    answer = await desk("POST", "/v1/logins", raw=gzip.compress(b"{}"), Content_Encoding="gzip")
    assert (answer.status, answer.problem) == (415, "unsupported-encoding")


async def test_verify_takes_no_short_idempotency_key(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    assert (await desk.verify(login, await desk.heard.code(login), Idempotency_Key="x")).status == 400
