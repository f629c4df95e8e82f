import asyncio
import secrets
from datetime import timedelta
from typing import Any

import pytest

from services.platform.clock import new_id
from tests.integration.gateway_admin.conftest import PASSWORD
from tests.integration.gateway_login.world import eventually

PHONE = "+442079460191"
EMAIL = "ada@example.com"
SMS_ON = {"phone": PHONE, "two_factor": {"sms": True}}


def users(account: Any) -> str:
    return f"/v1/accounts/{account['account_id']}/users"


def path(user: Any) -> str:
    return f"/v1/accounts/{user['account_id']}/users/{user['user_id']}"


async def refused(gateway: Any, account: Any, body: Any) -> Any:
    answer = await gateway("POST", users(account), {"username": f"u-{secrets.token_hex(4)}", **body})
    return answer.status, answer.data["type"].removeprefix("urn:gatepost:"), answer.data.get("field")


async def test_a_user_is_made_shown_and_listed_masked(gateway, account):
    made = await gateway.make(account, **SMS_ON, email=EMAIL, name="Ada", external_id=secrets.token_hex(4))
    shown = await gateway("GET", path(made))
    assert shown.data["phone"] == PHONE
    assert shown.data["email"] == EMAIL
    assert shown.headers["ETag"] == '"1"'
    listed = await gateway("GET", f"{users(account)}?search={made['username']}")
    [found] = listed.data["users"]
    assert found["user_id"] == made["user_id"]
    assert (found["phone_masked"], found["email_masked"]) == (f"+44 •••• ••{PHONE[-2:]}", "a•••@example.com")
    assert "phone" not in found
    assert "email" not in found


async def test_the_database_holds_no_contact_in_clear(gateway, account, database):
    made = await gateway.make(account, **SMS_ON, email=EMAIL)
    row = await database.fetchrow("SELECT * FROM users WHERE user_id = $1::text::uuid", made["user_id"])
    text = repr(dict(row)).replace(repr(row["username"]), "")
    assert PHONE[3:] not in text
    assert EMAIL not in text
    assert row["password_hash"].startswith("$argon2id$")


async def test_sms_without_an_email_is_saved_with_a_warning(gateway, account):
    made = await gateway.make(account, **SMS_ON)
    assert made["warnings"] == ["no-fallback-email"]
    assert "warnings" not in await gateway.make(account, **SMS_ON, email=EMAIL)


@pytest.mark.parametrize(
    ("body", "name", "field"),
    [
        ({"two_factor": {"sms": True}}, "sms-needs-phone", "two_factor.sms"),
        ({"two_factor": {"email": True}}, "email-needs-address", "two_factor.email"),
        ({"phone": "12"}, "bad-phone", "phone"),
        ({"phone": "+999123456789"}, "bad-phone", "phone"),
        ({"phone": "not a number"}, "bad-phone", "phone"),
        ({"phone": "+44" + "1" * 400}, "bad-phone", "phone"),
        ({"email": "no-at-sign"}, "bad-email", "email"),
        ({"email": "a@b..com"}, "bad-email", "email"),
        ({"role": "admin"}, "second-factor-required", "two_factor"),
        ({"role": "admin", "kind": "integration", **SMS_ON}, "integration-role", "role"),
        ({"username": ""}, "bad-username", "username"),
        ({"username": " ada "}, "bad-username", "username"),
        ({"username": "a\u0000b"}, "bad-username", "username"),
        ({"username": "x" * 201}, "bad-username", "username"),
        ({"external_id": "ada@example.com"}, "bad-external-id", "external_id"),
        ({"external_id": PHONE}, "bad-external-id", "external_id"),
        ({"locale": "english, please"}, "bad-locale", "locale"),
        ({"claims": {"x": "y" * 1024}}, "claims-too-large", "claims"),
        ({"claims": {"x": "\u0000"}}, "bad-claims", "claims"),
        ({"password": "short"}, "bad-password", "password"),
        ({"password": PASSWORD, "password_hash": "$2b$12$" + "a" * 53}, "bad-password", "password"),
        ({"password_hash": "plain text"}, "bad-password-hash", "password_hash"),
        ({"password_hash": "$2b$31$" + "a" * 53}, "bad-password-hash", "password_hash"),
        ({"name": "x" * 201}, "bad-name", "name"),
    ],
)
async def test_what_is_wrong_with_a_new_user_is_named(gateway, account, body, name, field):
    assert await refused(gateway, account, body) == (422, name, field)


@pytest.mark.parametrize("body", [{"unknown": 1}, {"role": "root"}, {"two_factor": {"fax": True}}, {"disabled": "yes"}])
async def test_a_body_of_another_shape_is_a_400(gateway, account, body):
    assert (await refused(gateway, account, body))[:2] == (400, "bad-request")


async def test_bad_json_and_a_body_over_the_limit_are_told_apart(gateway, account):
    broken = await gateway("POST", users(account), raw=b'{"username": ')
    assert (broken.status, broken.data["type"]) == (400, "urn:gatepost:bad-request")
    large = await gateway("POST", users(account), raw=b" " * 70_000)
    assert (large.status, large.data["type"]) == (413, "urn:gatepost:body-too-large")


async def test_usernames_that_fold_to_the_same_are_one(gateway, account):
    name = f"Ada-{secrets.token_hex(4)}"
    await gateway.make(account, username=name)
    for other in (name.upper(), name.lower(), name.replace("A", "\uff21")):
        answer = await gateway("POST", users(account), {"username": other})
        assert (answer.status, answer.data["type"]) == (409, "urn:gatepost:username-taken")
    await gateway.make(await gateway.account(), username=name)


async def test_an_external_id_is_unique_in_its_account(gateway, account):
    made = await gateway.make(account, external_id=secrets.token_hex(4))
    body = {"username": secrets.token_hex(4), "external_id": made["external_id"]}
    answer = await gateway("POST", users(account), body)
    assert (answer.status, answer.data["type"]) == (409, "urn:gatepost:external-id-taken")


async def test_a_name_that_is_taken_does_not_get_into_the_log_of_postgres(gateway, account, stack):
    log = stack.child("postgres").log
    made, other = [await gateway.make(account, external_id=secrets.token_hex(4)) for _ in range(2)]
    before = log.stat().st_size
    for field in ("username", "external_id"):
        fields = {"username": secrets.token_hex(4), field: made[field]}
        assert (await gateway("POST", users(account), fields)).status == 409
        path = f"{users(account)}/{other['user_id']}"
        assert (await gateway("PATCH", path, {field: made[field]})).status == 409
    said = log.read_bytes()[before:]
    assert b"duplicate key" not in said
    assert made["username"].encode() not in said


async def test_of_many_who_want_one_name_at_once_one_gets_it(gateway):
    account = await gateway.account()
    answers = await asyncio.gather(*(gateway("POST", users(account), {"username": "ada"}) for _ in range(12)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 11
    path = f"{users(account)}/external/e-1"
    answers = await asyncio.gather(*(gateway("PUT", path, {"username": "grace"}) for _ in range(12)))
    assert sorted(answer.status for answer in answers) == [200] * 11 + [201], [answer.data for answer in answers]


async def test_search_finds_by_part_of_a_name_by_external_id_and_by_whole_contact(gateway):
    account = await gateway.account()
    ada = await gateway.make(
        account, username="ada.lovelace", name="Ada King", external_id="e-1", phone=PHONE, email=EMAIL
    )
    await gateway.make(account, username="grace")
    for text in ("LOVELACE", "king", "e-1", "%2B44 20 7946 0191", EMAIL.upper()):
        found = await gateway("GET", f"{users(account)}?search={text}")
        assert [user["user_id"] for user in found.data["users"]] == [ada["user_id"]], text
    assert (await gateway("GET", f"{users(account)}?search=nobody%25")).data["users"] == []
    assert (await gateway("GET", f"{users(account)}?search=nobody%00")).status == 400


async def test_a_list_goes_on_by_cursor(gateway):
    account = await gateway.account()
    made = [await gateway.make(account, password=None) for _ in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = await gateway("GET", f"{users(account)}?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        seen += [user["user_id"] for user in page.data["users"]]
        cursor = page.data["cursor"]
    assert seen == [user["user_id"] for user in made]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=x", "sort=up", "limit=1&limit=2"])
async def test_a_bad_query_is_a_400(gateway, account, query):
    assert (await gateway("GET", f"{users(account)}?{query}")).status == 400


async def test_if_match_guards_against_a_change_meanwhile(gateway, account):
    made = await gateway.make(account)
    first = await gateway("PATCH", path(made), {"name": "A"}, headers={"If-Match": '"1"'})
    assert (first.status, first.headers["ETag"]) == (200, '"2"')
    late = await gateway("PATCH", path(made), {"name": "B"}, headers={"If-Match": '"1"'})
    assert (late.status, late.data["type"]) == (412, "urn:gatepost:precondition-failed")
    assert (await gateway("PATCH", path(made), {"name": "B"}, headers={"If-Match": "*"})).status == 200
    assert (await gateway("PATCH", path(made), {"name": "C"}, headers={"If-Match": "x"})).status == 400


async def test_a_patch_that_changes_nothing_writes_nothing(gateway, account):
    made = await gateway.make(account, name="Ada")
    assert (await gateway("PATCH", path(made), {"name": "Ada"})).data["version"] == 1


async def test_editing_preferences_and_contacts_ends_no_session(gateway, account):
    made = await gateway.make(account, **SMS_ON, email=EMAIL)
    before = await gateway.epoch(made["user_id"])
    for body in (
        {"two_factor": {"email": True}},
        {"two_factor": {"sms": False}},
        {"phone": "+442079460102"},
        {"email": "other@example.com"},
        {"phone": None},
        {"name": "A", "locale": "de", "claims": {"plan": "pro"}, "username": secrets.token_hex(6)},
    ):
        answer = await gateway("PATCH", path(made), body)
        assert answer.status == 200
        assert await gateway.epoch(made["user_id"]) == before


@pytest.mark.parametrize(
    "body",
    [{"disabled": True}, {"role": "admin"}, {"kind": "integration"}, {"force_login": True}],
    ids=["disabling", "role", "kind", "force-login"],
)
async def test_what_ends_sessions_raises_the_epoch_and_says_so(gateway, account, heard, body):
    made = await gateway.make(account, **SMS_ON, email=EMAIL)
    before = await gateway.epoch(made["user_id"])
    answer = await gateway("PATCH", path(made), body)
    assert (answer.status, answer.data["effective"]) == (200, "now")
    after = await gateway.epoch(made["user_id"])
    assert after > before
    event = await heard.wait(lambda e: e.user_id == made["user_id"] and getattr(e, "floor", 0) == after)
    assert (event.scope, event.account_id) == ("user", made["account_id"])


async def test_enabling_a_user_again_ends_nothing(gateway, account):
    made = await gateway.make(account, disabled=True)
    before = await gateway.epoch(made["user_id"])
    assert (await gateway("PATCH", path(made), {"disabled": False})).data["disabled"] is False
    assert await gateway.epoch(made["user_id"]) == before


async def test_a_new_password_ends_sessions_and_works(gateway, account, heard):
    made = await gateway.make(account)
    answer = await gateway("POST", f"{path(made)}/password", {"password": "another good phrase"})
    assert (answer.status, answer.data["effective"]) == (200, "now")
    await heard.wait(lambda e: e.user_id == made["user_id"] and getattr(e, "scope", "") == "user")
    body = {"account": account["name"], "username": made["username"], "password": PASSWORD}
    assert (await gateway("POST", "/v1/logins", body, who=None)).status == 401
    assert (await gateway("POST", "/v1/logins", {**body, "password": "another good phrase"}, who=None)).status == 200


@pytest.mark.parametrize("body", [{}, {"password": "short"}, {"password_hash": "x"}, {"password": "a", "extra": 1}])
async def test_a_bad_new_password_is_refused(gateway, account, body):
    made = await gateway.make(account)
    assert (await gateway("POST", f"{path(made)}/password", body)).status in (400, 422)


@pytest.mark.parametrize("change", [{"phone": "+442079460109"}, {"email": "new@example.com"}], ids=["phone", "email"])
async def test_replacing_a_contact_closes_a_login_under_way(gateway, account, heard, change):
    made = await gateway.make(account, **SMS_ON, email=EMAIL)
    body = {"account": account["name"], "username": made["username"], "password": PASSWORD}
    login = await gateway("POST", "/v1/logins", body, who=None)
    assert login.status == 202
    kept = await gateway("PATCH", path(made), {"two_factor": {"email": True}})
    assert "effective" not in kept.data
    await gateway("PATCH", path(made), change)
    event = await heard.wait(lambda e: e.login_id == login.data["login_id"] and getattr(e, "reason", ""))
    assert event.reason == "contact-changed"


async def test_a_contact_that_goes_to_and_fro_is_told_five_times_an_hour(gateway, account, heard):
    phone, made = f"+4474{secrets.randbelow(10**8):08d}", await gateway.make(account)
    for number in (phone, None) * 4:
        assert (await gateway("PATCH", path(made), {"phone": number})).status == 200
    await gateway("PATCH", path(made), {"email": f"{secrets.token_hex(6)}@example.com"})

    def is_told(event: Any, channel: str) -> bool:
        return bool(event.user_id == made["user_id"] and getattr(event, "channel", "") == channel)

    await heard.wait(lambda e: is_told(e, "email"))
    assert heard.count(lambda e: is_told(e, "sms")) == 5


async def test_a_login_is_closed_even_while_something_else_writes_to_it(gateway, account, heard, database):
    made = await gateway.make(account, **SMS_ON)
    body = {"account": account["name"], "username": made["username"], "password": PASSWORD}
    login = await gateway("POST", "/v1/logins", body, who=None)
    async with database.transaction():
        await database.execute("UPDATE logins SET sends = 2 WHERE login_id = $1::text::uuid", login.data["login_id"])
        change = asyncio.create_task(gateway("PATCH", path(made), {"phone": "+442079460108"}))
        await waiting(database)
    assert (await change).status == 200
    event = await heard.wait(lambda e: e.login_id == login.data["login_id"] and getattr(e, "reason", ""))
    assert event.reason == "contact-changed"


async def waiting(database: Any) -> None:
    """Until somebody waits for what this transaction holds."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    await eventually(lambda: database.fetchval(query))


async def test_a_deleted_user_is_gone_and_their_sessions_end(gateway, account, heard):
    made = await gateway.make(account)
    said = (await gateway("DELETE", path(made))).data
    assert (said["deleted"], said["effective"]) == (True, "now")
    assert all(set(each) == {"what", "days", "why"} for each in said["remains"])
    await heard.wait(lambda e: e.user_id == made["user_id"] and getattr(e, "scope", "") == "user")
    for method in ("GET", "DELETE"):
        assert (await gateway(method, path(made))).status == 404


async def test_put_by_external_id_makes_then_replaces(gateway, account):
    external_id = secrets.token_hex(6)
    place = f"{users(account)}/external/{external_id}"
    body = {"username": f"u-{external_id}", "password": PASSWORD, "email": EMAIL, "name": "Ada"}
    made = await gateway("PUT", place, body)
    assert made.status == 201
    epoch = await gateway.epoch(made.data["user_id"])
    again = await gateway("PUT", place, {**body, "name": None})
    assert (again.status, again.data["user_id"], again.data["name"]) == (200, made.data["user_id"], None)
    assert await gateway.epoch(made.data["user_id"]) == epoch
    await gateway("PUT", place, {**body, "password": "another good phrase"})
    assert await gateway.epoch(made.data["user_id"]) > epoch


async def test_put_refuses_another_external_id_in_the_body(gateway, account):
    answer = await gateway("PUT", f"{users(account)}/external/a", {"username": "x", "external_id": "b"})
    assert (answer.status, answer.data["field"]) == (422, "external_id")


async def test_a_locked_user_is_unlocked(gateway, account, database):
    made = await gateway.make(account)
    query = "UPDATE user_guard SET locked_at = now(), wrong_total = 100 WHERE user_id = $1::text::uuid"
    await database.execute(query, made["user_id"])
    assert (await gateway("GET", path(made))).data["locked"] is True
    answer = await gateway("POST", f"{path(made)}/unlock")
    assert (answer.status, answer.data["locked"]) == (200, False)
    assert (
        await database.fetchval("SELECT wrong_total FROM user_guard WHERE user_id = $1::text::uuid", made["user_id"])
        == 0
    )


async def test_an_unlocked_user_may_sign_in_after_too_many_wrong_passwords(gateway, account):
    made = await gateway.make(account)
    wrong = {"account": account["name"], "username": made["username"], "password": "not this one"}
    answers = [(await gateway("POST", "/v1/logins", wrong, who=None)).status for _ in range(11)]
    assert answers == [401] * 10 + [429]
    right = wrong | {"password": PASSWORD}
    assert (await gateway("POST", "/v1/logins", right, who=None)).status == 429
    assert (await gateway("POST", f"{path(made)}/unlock")).status == 200
    assert (await gateway("POST", "/v1/logins", right, who=None)).status == 200


async def test_a_change_is_audited_by_field_and_never_by_value(gateway, account):
    made = await gateway.make(account)
    await gateway("PATCH", path(made), {"phone": PHONE, "force_login": True})
    lines = await gateway.audit(made["user_id"])
    assert [line["action"] for line in lines] == ["user.created", "user.changed"]
    assert lines[-1]["details"] == {"fields": ["force_login", "phone"]}
    assert lines[-1]["who"].startswith("client:cl_")


@pytest.mark.parametrize("user", [str(new_id()), "ada", "%00", "x" * 300])
async def test_a_user_who_does_not_exist_is_a_404(gateway, account, user):
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        answer = await gateway(method, f"{users(account)}/{user}", body)
        assert (answer.status, answer.data["type"]) == (404, "urn:gatepost:not-found")


async def test_a_user_of_another_account_is_a_404(gateway, account):
    made = await gateway.make(await gateway.account())
    assert (await gateway("GET", f"{users(account)}/{made['user_id']}")).status == 404


async def test_an_operator_is_made_and_edited_only_by_who_may_grant_it(gateway, account):
    admin = gateway.user(account["account_id"])
    body = {"username": secrets.token_hex(4), "role": "operator", **SMS_ON}
    refused_answer = await gateway("POST", users(account), body, who=admin)
    assert (refused_answer.status, refused_answer.data["type"]) == (403, "urn:gatepost:grants-too-much")
    operator = await gateway.make(account, role="operator", **SMS_ON)
    ordinary = await gateway.make(account, **SMS_ON)
    attempts = [
        ("PATCH", path(operator), {"phone": "+442079460103"}),
        ("PATCH", path(operator), {"role": "user"}),
        ("PATCH", path(ordinary), {"role": "operator"}),
        ("POST", f"{path(operator)}/password", {"password": "another good phrase"}),
        ("POST", f"{path(operator)}/unlock", None),
        ("DELETE", path(operator), None),
    ]
    for method, place, change in attempts:
        assert (await gateway(method, place, change, who=admin)).status == 403, (method, place)
    own = await gateway.client(account["account_id"], "accounts:write")
    assert (await gateway("PATCH", path(operator), {"phone": None}, who=own)).status in (403, 422)


async def test_what_is_sensitive_needs_a_fresh_sign_in_of_a_user(gateway, account):
    made = await gateway.make(account, **SMS_ON, email=EMAIL)
    stale = gateway.user(account["account_id"], age=timedelta(minutes=16))
    assert (await gateway("PATCH", path(made), {"name": "Ada", "locale": "en"}, who=stale)).status == 200
    for change in (
        {"phone": "+442079460108"},
        {"two_factor": {"email": True}},
        {"role": "admin"},
        {"claims": {"a": 1}},
    ):
        answer = await gateway("PATCH", path(made), change, who=stale)
        assert (answer.status, answer.data["type"]) == (401, "urn:gatepost:fresh-sign-in-required"), change
    fresh = gateway.user(account["account_id"])
    assert (await gateway("PATCH", path(made), {"phone": "+442079460108"}, who=fresh)).status == 200


async def test_a_client_makes_no_admin_who_could_grant_more_than_it_holds(gateway, account):
    admin = {"username": secrets.token_hex(6), "phone": PHONE, "two_factor": {"sms": True}, "role": "admin"}
    narrow = await gateway.client(account["account_id"], "accounts:write")
    answer = await gateway("POST", users(account), admin, who=narrow)
    assert (answer.status, answer.data["type"]) == (403, "urn:gatepost:grants-too-much")
    made = await gateway.make(account, **admin)
    for change in ({"phone": "+442079460107"}, {"role": "user"}):
        assert (await gateway("PATCH", path(made), change, who=narrow)).status == 403
    answer = await gateway("POST", f"{path(made)}/password", {"password": "another good phrase"}, who=narrow)
    assert answer.status == 403
    every = ("introspect", "feed", "deliveries:read", "deliveries:replay", "accounts:write")
    wide = await gateway.client(account["account_id"], *every)
    assert (await gateway("PATCH", path(made), {"phone": "+442079460107"}, who=wide)).status == 200


@pytest.mark.parametrize(("place", "status"), [("/v1/clients?cursor=%00", 400), ("/v1/accounts/%00", 404)])
async def test_an_address_with_a_nul_is_refused(gateway, place, status):
    assert (await gateway("GET", place)).status == status


@pytest.mark.parametrize("value", ["Basic \u00e9\u00e9", "Bearer gp_\u00e9", "Basic =", "Bearer"])
async def test_credentials_that_are_none_are_a_401(gateway, value):
    assert (await gateway("GET", "/v1/accounts", who={"Authorization": value})).status == 401
