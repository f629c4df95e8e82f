import secrets

import pytest

from services.platform.clock import new_id

DAY = 86_400


async def test_an_account_is_made_with_the_usual_settings_and_found_by_id_and_by_name(gateway):
    name = f"t-{secrets.token_hex(6)}"
    made = await gateway("POST", "/v1/accounts", {"name": name})
    assert made.status == 201
    assert made.data["state"] == "active"
    usual = {"session_seconds": 90 * DAY, "code_digits": 6, "code_seconds": 300, "feed_per_minute": 12_000}
    assert made.data["settings"] == usual
    for key in (name, made.data["account_id"]):
        found = await gateway("GET", f"/v1/accounts/{key}")
        assert (found.status, found.data) == (200, made.data)


async def test_a_name_that_is_taken_is_a_409(gateway, account):
    answer = await gateway("POST", "/v1/accounts", {"name": account["name"]})
    assert (answer.status, answer.data["type"]) == (409, "urn:gatepost:account-name-taken")


@pytest.mark.parametrize("name", ["", "Upper", "with space", "-a", "a-", "x" * 64, str(new_id()), "a/b"])
async def test_a_bad_name_is_refused(gateway, name):
    answer = await gateway("POST", "/v1/accounts", {"name": name})
    assert (answer.status, answer.data["field"]) == (422, "name")


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("session_seconds", 3599, "3600 to 31536000"),
        ("session_seconds", 365 * DAY + 1, "1 hour to 365 days"),
        ("code_digits", 5, "6 to 10"),
        ("code_digits", 11, "6 to 10"),
        ("code_seconds", 59, "60 to 600"),
        ("code_seconds", 601, "60 to 600"),
        ("feed_per_minute", 499, "500 to 600000"),
        ("feed_per_minute", 600_001, "500 to 600000"),
    ],
)
async def test_a_setting_out_of_range_is_refused_with_its_range(gateway, account, setting, value, words):
    path = f"/v1/accounts/{account['account_id']}"
    answer = await gateway("PATCH", path, {"settings": {setting: value}})
    assert (answer.status, answer.data["type"]) == (422, "urn:gatepost:setting-out-of-range")
    assert words in answer.data["detail"]
    assert answer.data["field"] == f"settings.{setting}"


@pytest.mark.parametrize(
    "body",
    [{"settings": {"session_seconds": "90"}}, {"settings": {"color": 1}}, {"state": "gone"}, {"unknown": 1}, [], ""],
)
async def test_a_body_of_another_shape_is_a_400(gateway, account, body):
    answer = await gateway("PATCH", f"/v1/accounts/{account['account_id']}", body)
    assert (answer.status, answer.data["type"]) == (400, "urn:gatepost:bad-request")


async def test_another_session_length_is_announced_signed_and_audited(gateway, heard):
    made = await gateway.account()
    answer = await gateway("PATCH", f"/v1/accounts/{made['name']}", {"settings": {"session_seconds": 30 * DAY}})
    assert (answer.status, answer.data["effective"]) == (200, "now")
    assert answer.data["settings"]["session_seconds"] == 30 * DAY
    event = await heard.wait(lambda e: e.account_id == made["account_id"] and getattr(e, "max_age", 0) == 30 * DAY)
    assert type(event).__name__ == "SessionPolicyChanged"
    assert event.by.startswith("client:cl_")
    audited = await gateway.audit(made["account_id"])
    assert audited[-1]["details"] == {"session_seconds": [90 * DAY, 30 * DAY]}


async def test_the_same_session_length_is_announced_once(gateway, heard):
    made = await gateway.account(session_seconds=30 * DAY)
    body = {"settings": {"session_seconds": 40 * DAY}}
    first = await gateway("PATCH", f"/v1/accounts/{made['account_id']}", body)
    again = await gateway("PATCH", f"/v1/accounts/{made['account_id']}", body)
    assert first.data["settings"] == again.data["settings"]
    await heard.wait(lambda e: e.account_id == made["account_id"] and getattr(e, "max_age", 0) == 40 * DAY)
    mine = [e for e in heard.events if e.account_id == made["account_id"] and type(e).__name__ != "ClientChanged"]
    assert [e.max_age for e in mine] == [30 * DAY, 40 * DAY]


async def test_suspending_an_account_ends_its_sessions_and_is_no_right_of_its_administrator(gateway, heard):
    made = await gateway.account()
    path = f"/v1/accounts/{made['account_id']}"
    refused = await gateway("PATCH", path, {"state": "suspended"}, who=gateway.user(made["account_id"]))
    assert refused.status == 403
    answer = await gateway("PATCH", path, {"state": "suspended"})
    assert answer.data["state"] == "suspended"
    await heard.wait(lambda e: e.account_id == made["account_id"] and getattr(e, "scope", "") == "account")


async def test_an_account_that_does_not_exist_is_a_404(gateway):
    for key in (str(new_id()), "no-such-account", "%00", "x" * 300):
        assert (await gateway("GET", f"/v1/accounts/{key}")).status == 404


async def test_lists_show_only_what_the_caller_may_see_and_go_on_by_cursor(gateway, account):
    own = await gateway("GET", "/v1/accounts", who=gateway.user(account["account_id"]))
    assert [found["account_id"] for found in own.data["accounts"]] == [account["account_id"]]
    everything, cursor = [], ""
    while cursor is not None:
        page = await gateway("GET", f"/v1/accounts?cursor={cursor}")
        everything += page.data["accounts"]
        cursor = page.data["cursor"]
    assert account["account_id"] in {found["account_id"] for found in everything}
    assert len({found["account_id"] for found in everything}) == len(everything)
