"""The main job against the running system, over HTTP only."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

from deploy.local.story import Story, tell


async def test_the_story_of_the_demo_goes_as_told(story: Story):
    await tell(story)


async def test_two_hundred_parallel_right_codes_open_one_session(story: Story):
    before = datetime.now(UTC)
    _, login = await story.sign_in("barbara")
    code = await story.code_for("+442079460103", "sms", before)
    answers = await asyncio.gather(*(story.verify(login["login"], code) for _ in range(200)))
    statuses = [status for status, _ in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 410}


async def test_two_hundred_parallel_wrong_codes_are_evaluated_five_times(story: Story):
    before = datetime.now(UTC)
    _, login = await story.sign_in("admin")
    code = await story.code_for("+442079460104", "sms", before)
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
    answers = await asyncio.gather(*(story.verify(login["login"], wrong) for _ in range(200)))
    assert sorted(status for status, _ in answers) == [401] * 4 + [410] * 196
    status, answer = await story.verify(login["login"], code)
    assert (status, answer["reason"]) == (410, "too-many-attempts")


async def test_verify_with_the_same_key_and_code_gives_the_same_token_again(story: Story):
    before = datetime.now(UTC)
    _, login = await story.sign_in("edsger")
    code = await story.code_for("edsger@example.com", "email", before)
    path, key = f"/v1/logins/{login['login']}/verify", {"Idempotency-Key": str(uuid4())}
    spaced = f"{code[:3]} {code[3:]}"
    first = await story.api.call("gateway", "POST", path, {"code": spaced}, authenticated=False, headers=key)
    again = await story.api.call("gateway", "POST", path, {"code": code}, authenticated=False, headers=key)
    other = await story.api.call("gateway", "POST", path, {"code": code}, authenticated=False)
    assert first[0] == 200
    assert again == first
    assert other[0] == 410


async def test_an_idempotency_key_opens_one_login_and_refuses_another_body(story: Story):
    body = {"account": "demo", "username": "ada", "password": story.people["ada"].password}
    key = {"Idempotency-Key": str(uuid4())}
    sign_in = ("gateway", "POST", "/v1/logins")
    first = await story.api.call(*sign_in, body, authenticated=False, headers=key)
    again = await story.api.call(*sign_in, body, authenticated=False, headers=key)
    assert first[0] == again[0] == 202
    assert first[1]["login_id"] == again[1]["login_id"]
    changed = body | {"context": {"locale": "de"}}
    status, answer = await story.api.call(*sign_in, changed, authenticated=False, headers=key)
    assert (status, answer["type"]) == (422, "urn:gatepost:idempotency-key-reused")


async def test_a_resend_comes_too_soon_and_email_is_not_allowed_when_it_is_off(story: Story):
    _, login = await story.sign_in("grace")
    path = f"/v1/logins/{login['login']}/resend"
    status, answer = await story.api.call("gateway", "POST", path, {"channel": "email"}, authenticated=False)
    assert (status, answer["type"]) == (409, "urn:gatepost:channel-not-allowed")
    status, answer = await story.api.call("gateway", "POST", path, {}, authenticated=False)
    assert (status, answer["type"]) == (429, "urn:gatepost:resend-too-soon")


async def test_a_wrong_password_and_an_unknown_user_look_the_same(story: Story):
    bodies = [{"account": "demo", "username": name, "password": "no such password"} for name in ("linus", "nobody")]
    calls = [story.api.call("gateway", "POST", "/v1/logins", body, authenticated=False) for body in bodies]
    first, second = await asyncio.gather(*calls)
    assert first[0] == second[0] == 401
    assert first[1] == second[1]


async def test_a_revoked_token_is_inactive_at_once(story: Story):
    _, answer = await story.sign_in("linus")
    await story.becomes(answer["token"], True)
    status, _ = await story.api.call("session_store", "POST", "/v1/revoke", data={"token": answer["token"]})
    assert status == 200
    assert await story.introspect(answer["token"]) == {"active": False}


async def test_every_time_that_a_login_tells_is_utc_with_a_z(story: Story):
    body = {
        "username": "utc",
        "password": "quite long enough",
        "email": "utc@example.com",
        "two_factor": {"email": True},
    }
    await story.api.expect(201, "gateway", "POST", f"/v1/accounts/{story.account}/users", body)
    sign_in = {"account": story.account, "username": "utc", "password": "quite long enough"}
    login = await story.api.expect(202, "gateway", "POST", "/v1/logins", sign_in, authenticated=False)
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        state = await story.api.expect(200, "gateway", "GET", f"/v1/logins/{login['login']}", authenticated=False)
        if state["sends"] or asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.05)
    times = [state["expires_at"], state["resend_at"], *(send["at"] for send in state["sends"])]
    assert len(times) == 3
    assert all(time.endswith("Z") and datetime.fromisoformat(time) for time in times), times
