"""The story that `make demo` plays against the running system, each step with what really came back."""

import asyncio
import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from deploy.local.people import Api, Person
from schemas import topics
from schemas.events import Verified
from services.platform.clock import event_id, new_id
from services.platform.kafka import Connection, Producer
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import Mint, SessionTokens, secret_hash
from services.platform.outbox import row_for

PATIENCE = 15.0


class Unexpected(Exception):
    """The system did something else than the story says."""


@dataclass
class Story:
    """What the steps share."""

    api: Api
    session: aiohttp.ClientSession
    inbox: str
    account: str
    people: dict[str, Person]
    kafka: str
    gateway_keys: Path
    out: Console

    def say(self, title: str, **came_back: Any) -> None:
        self.out.print(f"[bold green]✔[/] [bold]{title}[/]")
        for name, value in came_back.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            self.out.print(f"    {name}: {text}", style="dim", markup=False, highlight=False)

    async def sign_in(self, username: str) -> tuple[int, dict[str, Any]]:
        body = {"account": self.account, "username": username, "password": self.people[username].password}
        return await self.api.call("gateway", "POST", "/v1/logins", body, authenticated=False)

    async def code_for(self, contact: str, channel: str, after: datetime) -> str:
        """The code that reached the phone or mailbox since then."""
        wanted = {"to": contact, "channel": channel, "after": after.isoformat(), "wait": str(PATIENCE)}
        async with self.session.get(self.inbox + "/messages", params=wanted) as answer:
            found = _messages(await answer.json())
        if not found:
            raise Unexpected(f"no {channel} arrived within {PATIENCE:.0f} s")
        return str(found[-1]["code"])

    async def verify(self, login: str, code: str) -> tuple[int, dict[str, Any]]:
        path = f"/v1/logins/{login}/verify"
        return await self.api.call("gateway", "POST", path, {"code": code}, authenticated=False)

    async def introspect(self, token: str) -> dict[str, Any]:
        status, answer = await self.api.call("session_store", "POST", "/v1/introspect", data={"token": token})
        check(status == 200, f"introspection answered {status}")
        return answer

    async def becomes(self, token: str, active: bool) -> dict[str, Any]:
        """The introspection once it says so; revocations take effect within a second or so."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            answer = await self.introspect(token)
            if answer["active"] is active:
                return answer
            check(asyncio.get_running_loop().time() < deadline, f"the session did not become active={active}")
            await asyncio.sleep(0.02)

    async def fault(self, faults: dict[str, Any]) -> None:
        async with self.session.put(self.inbox + "/faults", json=faults) as answer:
            check(answer.status == 200, f"the simulator refused the fault: {answer.status}")


def _messages(answer: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer["messages"] if isinstance(answer, dict) else answer
    return found


def check(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Unexpected(otherwise)


async def tell(story: Story) -> None:
    """Play every step; raises `Unexpected` at the first that goes another way."""
    plain = await _without_second_factor(story)
    ada = await _by_sms(story)
    refused = await _sms_refused(story)
    await _wrong_codes(story)
    await _expire_one(story, ada)
    await _length(story)
    await _clear_all(story, [plain, refused[0]])
    await _timeline(story, refused[1])


async def _without_second_factor(story: Story) -> str:
    status, answer = await story.sign_in("linus")
    check(status == 200 and answer["status"] == "signed_in", f"got {status} {answer}")
    story.say("A user without two-factor authentication signs in at once", acr=answer["acr"])
    return str(answer["token"])


async def _by_sms(story: Story) -> str:
    before = datetime.now(UTC)
    status, login = await story.sign_in("ada")
    check(status == 202 and login["status"] == "code_required", f"got {status} {login}")
    code = await story.code_for("+442079460101", "sms", before)
    status, answer = await story.verify(login["login"], code)
    check(status == 200, f"verify answered {status} {answer}")
    session = await story.becomes(answer["token"], True)
    days = (session["exp"] - session["iat"]) / 86_400
    check(days == 90, f"the session lasts {days} days")
    story.say(
        "A user with SMS signs in with the code that the phone received",
        sent_to=login["delivery"]["to"],
        acr=answer["acr"],
        session=f"active, exp {days:.0f} days away",
    )
    return str(answer["token"])


async def _sms_refused(story: Story) -> tuple[str, str]:
    await story.fault({"sms": {"+442079460102": {"mode": "refuse", "code": 21614}}})
    before = datetime.now(UTC)
    status, login = await story.sign_in("grace")
    check(status == 202, f"got {status} {login}")
    code = await story.code_for("grace@example.com", "email", before)
    waited = (datetime.now(UTC) - before).total_seconds()
    status, answer = await story.verify(login["login"], code)
    check(status == 200, f"verify answered {status} {answer}")
    check(answer["acr"].endswith("pwd+email"), f"acr is {answer['acr']}")
    story.say(
        "The SMS is refused; the code arrives by e-mail for a user whose e-mail is off",
        waited=f"{waited * 1000:.0f} ms",
        acr=answer["acr"],
    )
    await story.fault({"sms": {}})
    return str(answer["token"]), str(login["login_id"])


async def _wrong_codes(story: Story) -> None:
    before = datetime.now(UTC)
    _, first = await story.sign_in("edsger")
    code = await story.code_for("edsger@example.com", "email", before)
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
    status, answer = await story.verify(first["login"], wrong)
    check(status == 401, f"a wrong code was answered {status}")
    story.say("A wrong code is refused", problem=answer["type"], attempts_left=answer["attempts_left"])
    _, second = await story.sign_in("barbara")
    status, answer = await story.verify(second["login"], code)
    check(status == 401, f"another login's code was answered {status}")
    story.say("Another login's code is refused", problem=answer["type"])


async def _expire_one(story: Story, token: str) -> None:
    session = await story.introspect(token)
    path = f"/v1/accounts/{story.account}/users/{session['sub']}/expire-sessions"
    answer = await story.api.expect(200, "gateway", "POST", path)
    await story.becomes(token, False)
    story.say("One user's sessions are expired", effective=answer["effective"], active=False)


async def _length(story: Story) -> None:
    """A session dated 40 days back, published on the real topic, meets a length of 30 days."""
    token = await _old_session(story)
    await story.becomes(token, True)
    await _set_days(story, 30)
    await story.becomes(token, False)
    await _set_days(story, 90)
    await _policy_is(story, 90)
    check(not (await story.introspect(token))["active"], "a session that ended came back")
    story.say("A session of 40 days ends when the length is set to 30 days, and stays ended at 90", active=False)


async def _set_days(story: Story, days: int) -> None:
    body = {"settings": {"session_seconds": days * 86_400}}
    await story.api.expect(200, "gateway", "PATCH", f"/v1/accounts/{story.account}", body)


async def _policy_is(story: Story, days: int) -> None:
    """Wait until a new session lasts that long: the change has reached the store."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        _, answer = await story.sign_in("linus")
        session = await story.becomes(answer["token"], True)
        if session["exp"] - session["iat"] == days * 86_400:
            return
        check(asyncio.get_running_loop().time() < deadline, "the new length did not take effect")
        await asyncio.sleep(0.1)


async def _old_session(story: Story) -> str:
    """A `Verified` of 40 days ago, signed with the gateway's key: what a long-running system would hold."""
    rings = Keyrings(story.gateway_keys)
    users = await story.api.expect(200, "gateway", "GET", f"/v1/accounts/{story.account}/users?search=linus")
    event, token = begun(rings, story.account, users["users"][0]["user_id"], datetime.now(UTC) - timedelta(days=40), 0)
    row = row_for(event, Signer(rings.secret("grants")))
    producer = Producer(Connection(story.kafka), "demo")
    await producer.send(topics.SESSION_EVENTS.name, row.key, row.value, row.kafka_headers())
    await producer.stop()
    return token


def begun(rings: Keyrings, account: str, user: str, born: datetime, epoch: int) -> tuple[Verified, str]:
    """The `Verified` of a session that began then, and its token; unsigned as yet."""
    login_id, issued_at = new_id(), int(born.timestamp())
    born = datetime.fromtimestamp(issued_at, UTC)
    secret = Mint(rings.secret("mint")).secret(login_id, issued_at)
    event = Verified(
        id=event_id("Verified", login_id),
        source="gatepost/demo",
        time=born,
        account_id=account,
        user_id=user,
        login_id=str(login_id),
        issued_at=born,
        auth_time=born,
        amr=("pwd",),
        acr="urn:gatepost:acr:pwd",
        aud="apps",
        role="user",
        secret_hash=base64.urlsafe_b64encode(secret_hash(secret)).decode(),
        account_epoch=epoch,
        user_epoch=epoch,
    )
    return event, SessionTokens(rings.secret("session")).make(login_id, issued_at, secret)


async def _clear_all(story: Story, tokens: list[str]) -> None:
    path = f"/v1/accounts/{story.account}/expire-sessions"
    status, answer = await story.api.call("gateway", "POST", path, {"confirm": "nobody"})
    check(status == 400, f"a wrong confirmation was answered {status}")
    answer = await story.api.expect(200, "gateway", "POST", path, {"confirm": "demo"})
    for token in tokens:
        await story.becomes(token, False)
    story.say("All sessions of the account are cleared: every token is inactive", effective=answer["effective"])


async def _timeline(story: Story, login_id: str) -> None:
    answer = await story.api.expect(200, "delivery", "GET", f"/v1/timelines/{login_id}")
    story.say("The timeline of the refused SMS")
    for step in answer["steps"]:
        names = ("at", "channel", "cause", "what", "provider", "reason", "ms")
        words = " ".join(f"{name}={step[name]}" for name in names if step.get(name) is not None)
        story.out.print(f"    {words}", style="dim", markup=False, highlight=False)
