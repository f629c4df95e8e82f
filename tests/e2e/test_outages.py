"""A server that is away: what is accepted is not lost, what must end ends, and everything mends itself."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest_asyncio

from deploy.local.people import Person
from deploy.local.stack import Stack
from deploy.local.story import Story, check
from tests.integration.gateway_login.world import eventually


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(story: Story) -> Story:
    """The same system, with an account of its own: nothing that ends here ends for others."""
    name = f"town-{secrets.token_hex(4)}"
    made = await story.api.expect(201, "gateway", "POST", "/v1/accounts", {"name": name})
    return replace(story, account=made["account_id"], people={})


async def somebody(town: Story, **fields: Any) -> str:
    """A user of that account; gives the username."""
    person = Person(secrets.token_hex(6), "", {})
    body = {"username": person.username, "password": person.password, **fields}
    await town.api.expect(201, "gateway", "POST", f"/v1/accounts/{town.account}/users", body)
    town.people[person.username] = person
    return person.username


def a_phone() -> str:
    return f"+4474{int.from_bytes(os.urandom(6), 'big') % 10**8:08d}"


@contextmanager
def frozen(stack: Stack, name: str) -> Iterator[None]:
    """The server keeps its connections and answers nobody."""
    pid = stack.child(name).pid
    check(pid is not None, f"{name} does not run")
    os.kill(int(pid or 0), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(int(pid or 0), signal.SIGCONT)


@asynccontextmanager
async def killed(stack: Stack, name: str) -> AsyncIterator[None]:
    """The server dies, and its supervisor starts it again."""
    child = stack.child(name)
    os.kill(int(child.pid or 0), signal.SIGKILL)
    yield
    await eventually(lambda: back(child), seconds=60)


async def back(child: Any) -> bool:
    try:
        return bool(child.restarts and await child.program.ready())
    except Exception:
        return False


async def test_with_kafka_frozen_sessions_begin_and_end_and_the_code_goes_out_when_it_is_back(
    town: Story, stack: Stack
) -> None:
    phone, other = a_phone(), a_phone()
    plain, coded = await somebody(town), await somebody(town, phone=phone, two_factor={"sms": True})
    closed = await somebody(town, phone=other, two_factor={"sms": True})
    before = datetime.now(UTC)
    with frozen(stack, "kafka"):
        status, login = await town.sign_in(closed)
        assert (status, login["delivery"]["state"]) == (202, "queued")
        status, session = await town.sign_in(plain)
        assert status == 200
        await town.becomes(session["token"], True)
        body = {"confirm": town.account}
        path = f"/v1/accounts/{town.account}/expire-sessions"
        done = await town.api.expect(200, "gateway", "POST", path, body)
        assert done["effective"] == "now"
        assert (await town.introspect(session["token"]))["active"] is False
        status, login = await town.sign_in(coded)
        assert status == 202
    code = await town.code_for(phone, "sms", before)
    status, answer = await town.verify(login["login"], code)
    assert (status, answer.get("acr")) == (200, "urn:gatepost:acr:pwd+sms"), answer
    await town.becomes(answer["token"], True)


async def test_a_postgres_that_dies_means_503_until_it_is_back_and_no_login_is_lost(town: Story, stack: Stack) -> None:
    mailbox = f"{secrets.token_hex(6)}@example.com"
    plain, coded = await somebody(town), await somebody(town, email=mailbox, two_factor={"email": True})
    before = datetime.now(UTC)
    _, login = await town.sign_in(coded)
    _, session = await town.sign_in(plain)
    await town.becomes(session["token"], True)
    over = asyncio.Event()
    asked = asyncio.create_task(statuses(town, plain, over))
    async with killed(stack, "postgres"):
        pass
    over.set()
    assert 503 in (seen := await asked)
    assert seen <= {200, 503}
    await eventually(lambda: signs_in(town, plain), seconds=30)
    await town.becomes(session["token"], True)
    status, answer = await town.verify(login["login"], await town.code_for(mailbox, "email", before))
    assert status == 200, answer


async def statuses(town: Story, username: str, until: asyncio.Event) -> set[int]:
    """What one sign-in after the other is answered with."""
    seen = set()
    while not until.is_set():
        seen.add((await town.sign_in(username))[0])
    return seen


async def signs_in(town: Story, username: str) -> bool:
    status, answer = await town.sign_in(username)
    assert status in (200, 503), answer
    return status == 200


async def test_with_the_providers_dead_the_code_arrives_when_they_are_back(town: Story, stack: Stack) -> None:
    mailbox = f"{secrets.token_hex(6)}@example.com"
    coded = await somebody(town, email=mailbox, two_factor={"email": True})
    before = datetime.now(UTC)
    async with killed(stack, "simulator"):
        status, login = await town.sign_in(coded)
        assert status == 202
    status, answer = await town.verify(login["login"], await code_when_back(town, mailbox, before))
    assert status == 200, answer


async def code_when_back(town: Story, mailbox: str, before: datetime) -> str:
    try:
        return await town.code_for(mailbox, "email", before)
    except aiohttp.ClientConnectionError:
        return await town.code_for(mailbox, "email", before)
