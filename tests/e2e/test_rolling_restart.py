"""Every process of the system is replaced while people sign in: no sign-in fails, and every session goes on."""

import asyncio
import json
import os
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest_asyncio

from deploy.local.processes import Child
from deploy.local.stack import SERVICES, Stack
from deploy.local.story import Story, Unexpected
from services.login_gateway.passwords import HASHER
from tests.e2e.team import FEW
from tests.faults.site import GENEROUS

PASSWORD = "correct horse battery"
HASH = HASHER.hash(PASSWORD)
CLIENTS = 6
REST = 0.3  # between two sign-ins of a client: hashing would have both cores, and the restarts none
PATIENCE = 180.0


@dataclass
class Client:
    """A platform's: one connection to each service, kept as long as the service keeps it; nothing is sent twice."""

    story: Story
    account: str
    http: aiohttp.ClientSession
    auth: dict[str, str]
    tokens: list[str] = field(default_factory=list)
    unsure: int = 0

    async def post(self, service: str, path: str, **sent: Any) -> tuple[int, Any]:
        async with self.http.post(self.story.api.urls[service] + path, **sent) as answer:
            return answer.status, await answer.json(content_type=None)

    async def sign_in(self, username: str, mailbox: str | None) -> None:
        before = datetime.now(UTC)
        body = {"account": self.account, "username": username, "password": PASSWORD}
        status, said = await self.post("gateway", "/v1/logins", json=body)
        assert status == (200 if mailbox is None else 202), (status, said)
        if mailbox is not None:
            code = await self.code(mailbox, before)
            status, said = await self.post("gateway", f"/v1/logins/{said['login']}/verify", json={"code": code})
            assert status == 200, (status, said)
        self.tokens.append(said["token"])
        assert await self.lives(said["token"])

    async def code(self, mailbox: str, since: datetime) -> str:
        """While delivery's workers start on a busy machine a code comes late: within its life all the same."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(Unexpected):
                    return await self.story.code_for(mailbox, "email", since)

    async def lives(self, token: str) -> bool:
        """A store that cannot tell yet says 503, and is asked again, as its answer says."""
        async with asyncio.timeout(10):
            while True:
                status, said = await self.post(
                    "session_store", "/v1/introspect", data={"token": token}, headers=self.auth
                )
                if status != 503:
                    assert status == 200, (status, said)
                    return bool(said["active"])
                self.unsure += 1
                await asyncio.sleep(0.5)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def teams(story: Story, stack: Stack) -> AsyncIterator[list[Child]]:
    """The stack's services, two processes each; as they were when this is over."""
    usual = [stack.service(name) for name in SERVICES]
    more = {**GENEROUS, **FEW, "GATEPOST_WORKERS": "2"}
    await stack.run(*(replace(each, environment={**each.environment, **more}) for each in usual))
    yield [stack.child(name) for name in SERVICES]
    await stack.run(*usual)


async def people(story: Story, stack: Stack, count: int) -> tuple[str, list[tuple[str, str | None]]]:
    """An account and its users: username and mailbox, every other one without a second factor."""
    made = await story.api.expect(201, "gateway", "POST", "/v1/accounts", {"name": f"r-{secrets.token_hex(6)}"})
    found: list[tuple[str, str | None]] = []
    lines = []
    for number in range(count):
        name = f"u{secrets.token_hex(6)}"
        mailbox = f"{name}@example.com" if number % 2 else None
        user = {"username": name, "password_hash": HASH, "email": mailbox, "two_factor": {"email": mailbox is not None}}
        lines.append(json.dumps(user))
        found.append((name, mailbox))
    account = str(made["account_id"])
    headers = {"Authorization": aiohttp.encode_basic_auth(*stack.client())}
    url = f"{story.api.urls['gateway']}/v1/accounts/{account}/imports"
    async with story.session.post(url, data="\n".join(lines).encode(), headers=headers) as answer:
        results = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert all(result["status"] == "created" for result in results), results
    return account, found


async def test_everything_is_replaced_under_load_without_a_failed_login_or_a_lost_session(
    story: Story, stack: Stack, teams: list[Child]
) -> None:
    account, known = await people(story, stack, 60)
    auth = {"Authorization": aiohttp.encode_basic_auth(*stack.client())}
    over, done = asyncio.Event(), Counter[str]()

    async def come(client: Client, mine: list[tuple[str, str | None]]) -> None:
        while not over.is_set():
            for username, mailbox in mine:
                await client.sign_in(username, mailbox)
                done["plain" if mailbox is None else "by code"] += 1
                await asyncio.sleep(REST)

    clients = [
        Client(story, account, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit_per_host=1)), auth)
        for _ in range(CLIENTS)
    ]
    try:
        async with asyncio.TaskGroup() as group:
            for number, client in enumerate(clients):
                group.create_task(come(client, known[number::CLIENTS]))
            for team in teams:
                await replaced(team)
            over.set()
        lost = [token for client in clients for token in client.tokens if not await client.lives(token)]
    finally:
        for client in clients:
            await client.http.close()
    assert min(done["plain"], done["by code"]) > CLIENTS, done
    assert not lost
    print(f"\nsigned in: {dict(done)}; asked again: {sum(client.unsure for client in clients)}")  # noqa: T201


async def replaced(team: Child) -> None:
    assert team.pid is not None
    before = team.log.read_text().count('"workers_replaced"')
    os.kill(team.pid, signal.SIGHUP)
    async with asyncio.timeout(PATIENCE):
        while team.log.read_text().count('"workers_replaced"') == before:
            assert "restart_given_up" not in team.log.read_text()
            await asyncio.sleep(0.1)
