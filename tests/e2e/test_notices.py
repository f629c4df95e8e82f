"""What users are told about their own sign-in, as it arrives."""

import os
import secrets
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from deploy.local.story import Story
from tests.integration.gateway_login.world import eventually


def phone() -> str:
    return f"+4474{int.from_bytes(os.urandom(6), 'big') % 10**8:08d}"


def mailbox() -> str:
    return f"{secrets.token_hex(6)}@example.com"


async def messages(story: Story, to: str, after: datetime) -> list[dict[str, Any]]:
    params = {"to": to, "after": after.isoformat()}
    async with story.session.get(story.inbox + "/messages", params=params) as answer:
        found: list[dict[str, Any]] = (await answer.json())["messages"]
        return found


@pytest.mark.parametrize(("field", "made"), [("phone", phone), ("email", mailbox)], ids=["phone", "email"])
async def test_old_and_new_contact_are_told_of_a_change(story: Story, field: str, made: Any) -> None:
    old, new = made(), made()
    body = {"username": secrets.token_hex(6), field: old}
    users = f"/v1/accounts/{story.account}/users"
    user = await story.api.expect(201, "gateway", "POST", users, body)
    before = datetime.now(UTC)
    await story.api.expect(200, "gateway", "PATCH", f"{users}/{user['user_id']}", {"name": "Ada"})
    changed = await story.api.expect(200, "gateway", "PATCH", f"{users}/{user['user_id']}", {field: new})
    assert "effective" not in changed
    for contact in (old, new):
        (message,) = await eventually(partial(messages, story, contact, before))
        assert "was changed" in message["body"]
        assert message.get("code") is None


async def test_a_removed_contact_is_told_too(story: Story) -> None:
    old = phone()
    users = f"/v1/accounts/{story.account}/users"
    user = await story.api.expect(201, "gateway", "POST", users, {"username": secrets.token_hex(6), "phone": old})
    before = datetime.now(UTC)
    await story.api.expect(200, "gateway", "PATCH", f"{users}/{user['user_id']}", {"phone": None})
    assert await eventually(lambda: messages(story, old, before))


async def test_the_phone_hears_of_a_sign_in_by_an_email_that_is_off(story: Story) -> None:
    number, address, name, password = phone(), mailbox(), secrets.token_hex(6), secrets.token_hex(12)
    body = {"username": name, "password": password, "phone": number, "email": address, "two_factor": {"sms": True}}
    await story.api.expect(201, "gateway", "POST", f"/v1/accounts/{story.account}/users", body)
    await story.fault({"sms": {number: {"mode": "refuse", "code": 21614, "times": 1}}})
    before = datetime.now(UTC)
    asked = {"account": story.account, "username": name, "password": password}
    _, login = await story.api.call("gateway", "POST", "/v1/logins", asked, authenticated=False)
    code = await story.code_for(address, "email", before)
    status, answer = await story.verify(login["login"], code)
    assert (status, answer["acr"]) == (200, "urn:gatepost:acr:pwd+email")
    (told,) = await eventually(partial(messages, story, number, before))
    assert "was used to sign in" in told["body"]
    assert told.get("code") is None
    query = f"/v1/deliveries?email_off=true&account={story.account}"
    listed = (await story.api.expect(200, "delivery", "GET", query))["deliveries"]
    assert [each["login_id"] for each in listed if each["email_off"]].count(login["login_id"]) == 1
