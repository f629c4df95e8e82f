"""A code reaches its user through whatever works: whole logins, with SMS that fail in each of their ways."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest_asyncio

from deploy.local.people import Person
from deploy.local.story import Story

SIGNED_IN_BY_EMAIL = (200, "urn:gatepost:acr:pwd+email")


class Visit(NamedTuple):
    """Somebody whose e-mail is off; when they signed in, and the login that it opened."""

    username: str
    phone: str
    mailbox: str
    begun: datetime
    login: dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(story: Story) -> Story:
    made = await story.api.expect(201, "gateway", "POST", "/v1/accounts", {"name": f"reach-{secrets.token_hex(4)}"})
    return replace(story, account=made["account_id"], people={})


async def visits(town: Story, faults: dict[str, Any], many: int) -> list[Visit]:
    """So many new people sign in at one moment, while SMS fail like that."""
    people = [Person(f"u{secrets.token_hex(6)}", "", {}) for _ in range(many)]
    phones = [f"+4474{secrets.randbelow(10**8):08d}" for _ in people]
    for person, phone in zip(people, phones, strict=True):
        contacts = {"phone": phone, "email": f"{person.username}@example.com", "two_factor": {"sms": True}}
        body = {"username": person.username, "password": person.password, **contacts}
        await town.api.expect(201, "gateway", "POST", f"/v1/accounts/{town.account}/users", body)
        town.people[person.username] = person
    await town.fault({"sms": faults})
    return await asyncio.gather(*(_visit(town, p, phone) for p, phone in zip(people, phones, strict=True)))


async def _visit(town: Story, person: Person, phone: str) -> Visit:
    begun = datetime.now(UTC)
    status, login = await town.sign_in(person.username)
    assert status == 202, login
    return Visit(person.username, phone, f"{person.username}@example.com", begun, login)


async def codes(town: Story, to: str, wait: int) -> list[dict[str, Any]]:
    """The messages with a code that came so far; `wait` seconds for a first one. Who signs in by an e-mail that is off
    is told by SMS too.
    """
    async with town.session.get(f"{town.inbox}/messages", params={"to": to, "wait": str(wait)}) as answer:
        return [message for message in (await answer.json())["messages"] if message["code"]]


async def seconds_to_email(town: Story, visit: Visit, wait: int) -> float:
    """Until the code was in the mailbox; it signs in, and the app is told that it came by e-mail."""
    (message,) = await codes(town, visit.mailbox, wait)
    status, answer = await town.verify(visit.login["login"], message["code"])
    assert (status, answer.get("acr")) == SIGNED_IN_BY_EMAIL, answer
    return (datetime.fromisoformat(message["at"]) - visit.begun).total_seconds()


async def all_seconds(town: Story, found: Sequence[Visit], wait: int) -> list[float]:
    return await asyncio.gather(*(seconds_to_email(town, visit, wait) for visit in found))


async def test_when_every_sms_is_refused_the_code_is_in_the_mailbox_within_ten_seconds(town: Story):
    found = await visits(town, {"*": {"mode": "refuse", "code": 21614}}, 40)
    assert max(await all_seconds(town, found, 20)) < 10


async def test_a_silent_provider_means_an_email_after_25_seconds_and_a_refusal_after_taking_it_one_of_each(town: Story):
    """What a provider did counts against it only where the provider is to blame: few enough for its breaker."""
    silent = await visits(town, {"*": {"mode": "no_receipt"}}, 3)
    for visit in silent:
        assert len(await codes(town, visit.phone, 10)) == 1
    doubtful = await visits(town, {"*": {"mode": "error_after_accept"}}, 3)
    assert max(await all_seconds(town, doubtful, 20)) < 10
    await town.fault({"sms": {}})
    waited = await all_seconds(town, silent, 40)
    assert all(25 <= seconds < 27 for seconds in waited), waited
    for visit in (*silent, *doubtful):
        assert len(await codes(town, visit.phone, 0)) == 1
        assert len(await codes(town, visit.mailbox, 0)) == 1
