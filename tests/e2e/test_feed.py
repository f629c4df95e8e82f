"""Logins that a platform feeds: opened once, verified by the platform's own reference."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio

from deploy.local.people import Api
from deploy.local.story import Story


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(story: Story) -> Api:
    body = {"scopes": ["feed", "introspect"], "account": story.account, "name": "platform"}
    made = await story.api.expect(201, "gateway", "POST", "/v1/clients", body)
    return Api(story.session, story.api.urls, (made["client_id"], made["client_secret"]))


async def user(story: Story, **fields) -> Any:
    body = {"username": secrets.token_hex(6), "external_id": secrets.token_hex(6), **fields}
    return await story.api.expect(201, "gateway", "POST", f"/v1/accounts/{story.account}/users", body)


def item(person: Any, **more) -> Any:
    base = {"reference": f"ref-{secrets.token_hex(6)}x", "user": {"external_id": person["external_id"]}}
    return base | {"authenticated_at": datetime.now(UTC).isoformat()} | more


async def test_a_fed_login_is_opened_once_and_verified_by_its_reference(story: Story, platform: Api):
    contact = f"{secrets.token_hex(6)}@example.com"
    login = item(await user(story, email=contact, two_factor={"email": True}))
    first = await platform.expect(200, "gateway", "POST", "/v1/feed/logins", {"logins": [login, login]})
    assert first["logins"][0]["login_id"] == first["logins"][1]["login_id"]
    code = await story.code_for(contact, "email", datetime.now(UTC) - timedelta(minutes=1))
    path = f"/v1/feed/logins/{login['reference']}"
    done = await platform.expect(200, "gateway", "POST", f"{path}/verify", {"code": code})
    assert done["acr"] == "urn:gatepost:acr:fed+email"
    assert "fed" in done["amr"]
    assert (await platform.expect(200, "gateway", "GET", path))["status"] == "signed_in"


async def test_what_cannot_be_fed_is_refused_with_its_reason_and_stops_nothing(story: Story, platform: Api):
    plain = await user(story)
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    logins = [
        item(plain, authenticated_at=old),
        item(plain, authenticated_at=ahead),
        item(plain, user={"external_id": "nobody"}),
        item(plain, reference="+442079460958"),
        item(plain, reference="ada@example.com"),
        item(plain),
    ]
    answer = await platform.expect(200, "gateway", "POST", "/v1/feed/logins", {"logins": logins})
    found = [each.get("reason") or each["status"] for each in answer["logins"]]
    expected = ["too-old", "authenticated-in-the-future", "unknown-user", "bad-reference", "bad-reference", "signed_in"]
    assert found == expected
    assert answer["logins"][-1]["token"].startswith("gp_")


async def test_a_login_fed_with_a_password_step_before_clear_all_is_refused(story: Story, platform: Api):
    plain = await user(story)
    before = datetime.now(UTC).isoformat()
    path = f"/v1/accounts/{story.account}/users/{plain['user_id']}/expire-sessions"
    await story.api.expect(200, "gateway", "POST", path)
    sent = {"logins": [item(plain, authenticated_at=before)]}
    answer = await platform.expect(200, "gateway", "POST", "/v1/feed/logins", sent)
    assert answer["logins"][0]["reason"] == "sessions-expired"
