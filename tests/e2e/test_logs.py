"""What the services log: JSON lines, each login by its id, nobody by name."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.local.stack import SERVICES, Stack
from deploy.local.story import Story


def lines(stack: Stack, service: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stack.child(service).log.read_text().splitlines()]


async def told_of(stack: Stack, service: str, login_id: str, event: str) -> list[dict[str, Any]]:
    """The lines about one login, once there is one of that event."""
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        found = [line for line in lines(stack, service) if line.get("login_id") == login_id]
        if any(line["event"] == event for line in found) or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(0.05)


async def test_a_login_is_found_in_the_logs_by_its_id_from_opening_to_code(story: Story, stack: Stack):
    contact, before = "told@example.com", datetime.now(UTC)
    body = {"username": "told", "password": "quite long enough", "email": contact, "two_factor": {"email": True}}
    await story.api.expect(201, "gateway", "POST", f"/v1/accounts/{story.account}/users", body)
    sign_in = {"account": story.account, "username": "told", "password": "quite long enough"}
    opened = await story.api.expect(202, "gateway", "POST", "/v1/logins", sign_in, authenticated=False)
    login_id = opened["login_id"]
    code = await story.code_for(contact, "email", before)
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
    assert (await story.verify(opened["login"], wrong))[0] == 401
    assert (await story.verify(opened["login"], code))[0] == 200
    found = await told_of(stack, "gateway", login_id, "code_right")
    assert [line["event"] for line in found] == ["login_opened", "http", "code_right"]
    assert (found[1]["problem"], found[2]["channel"]) == ("wrong-code", "email")
    assert "sent" in {line["state"] for line in await told_of(stack, "delivery", login_id, "delivery")}


async def test_a_sign_in_without_a_code_and_a_refused_one_are_logged_without_a_name(story: Story, stack: Stack):
    _, answer = await story.sign_in("linus")
    (line,) = await told_of(stack, "gateway", answer["login_id"], "login_opened")
    assert line["code_required"] is False
    known, person = len(lines(stack, "gateway")), story.people["linus"]
    body = {"account": story.account, "username": person.username, "password": "no such password"}
    await story.api.expect(401, "gateway", "POST", "/v1/logins", body, authenticated=False)
    news = [line for line in lines(stack, "gateway")[known:] if line["event"] == "http"]
    assert [(line["problem"], "login_id" in line) for line in news] == [("invalid-credentials", False)]
    assert person.username not in stack.child("gateway").log.read_text()


@pytest.mark.parametrize("service", SERVICES)
async def test_every_line_of_a_service_is_json(story: Story, stack: Stack, service: str):
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines(stack, service))
