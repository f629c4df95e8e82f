"""The client feeds the running system: by its topic, and by HTTP as fast as its budget lets it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

import gatepost_client as gp
from deploy.local.stack import Stack
from deploy.local.story import Story
from gatepost_client import Gatepost, feed_topic, topics
from gatepost_client.events import LoginRefused
from gatepost_client.feed_topic import TopicFeed, Written
from gatepost_client.kafka import KafkaRefuses
from tests.e2e.client.test_signing_in import by_email, code_of, fed, person

PER_MINUTE = 600


@pytest_asyncio.fixture
async def feed(stack: Stack, story: Story, pair: tuple[str, str]) -> AsyncIterator[TopicFeed]:
    async with TopicFeed(pair, story.account, bootstrap_servers=stack.kafka) as opened:
        yield opened


async def taken(gatepost: Gatepost, reference: str) -> gp.Login:
    """Once the gateway has read the record."""
    while True:
        try:
            return await gatepost.feed.state(reference)
        except gp.NotFound:
            await asyncio.sleep(0.02)


async def refused(kafka: str, reference: str) -> str:
    async with topics.login_outcomes(bootstrap_servers=kafka) as outcomes:
        async for event in outcomes:
            if isinstance(event, LoginRefused) and event.reference == reference:
                return event.reason
    raise AssertionError("the topic ended")


async def test_a_login_by_the_topic_is_verified_by_its_reference(story: Story, gatepost: Gatepost, feed: TopicFeed):
    user, contact = await by_email(story)
    reference = f"topic-{secrets.token_hex(6)}x"
    written = await feed.put(fed(reference, user))
    assert written.offset >= 0
    done = await gatepost.feed.verify(reference, await code_of(story, contact))
    assert done.acr == "urn:gatepost:acr:fed+email"
    again = await feed.put(fed(reference, user))
    assert (again.partition, again.reference) == (written.partition, reference), "the key is the reference"
    assert (await gatepost.feed.state(reference)).login_id == done.login_id


async def test_a_login_by_the_topic_without_a_second_factor_gets_its_token_by_http(
    story: Story, gatepost: Gatepost, feed: TopicFeed
):
    login = fed(f"topic-{secrets.token_hex(6)}x", await person(story))
    await feed.put(login)
    state = await taken(gatepost, login.reference)
    [answer] = [one async for one in gatepost.feed.send([login])]
    assert isinstance(answer.outcome, gp.SignedIn)
    assert answer.outcome.login_id == state.login_id
    assert await gatepost.sessions.introspect(answer.outcome.token) is not None


async def test_many_by_the_topic_are_told_in_order_and_one_that_is_bad_stops_none(
    stack: Stack, story: Story, gatepost: Gatepost, feed: TopicFeed
):
    user, run = await person(story), secrets.token_hex(4)
    logins = [fed(f"{run}x{number}", user) for number in range(20)]
    logins[7] = fed("ada@example.com", user)
    logins[11] = fed(f"{run}x11", {"external_id": "nobody"})
    found = [one async for one in feed.send(logins, at_once=5)]
    assert [one.reference for one in found] == [login.reference for login in logins]
    assert [type(one) for one in found].count(Written) == 19
    assert isinstance(found[7], gp.Refused)
    assert (found[7].reason, bool(found[7].detail)) == ("bad-reference", True)
    assert await refused(stack.kafka, f"{run}x11") == "unknown-user"
    assert (await taken(gatepost, f"{run}x19")).status == "signed_in"


async def test_a_producer_that_the_platform_has_already_stays_its_own(
    stack: Stack, story: Story, gatepost: Gatepost, pair: tuple[str, str]
):
    user = await person(story)
    first, second = (fed(f"topic-{secrets.token_hex(6)}x", user) for _ in range(2))
    async with AIOKafkaProducer(bootstrap_servers=stack.kafka, enable_idempotence=True) as producer:
        for login in (first, second):
            async with TopicFeed(pair, story.account, producer=producer) as own:
                await own.put(login)
    assert {(await taken(gatepost, login.reference)).status for login in (first, second)} == {"signed_in"}


async def test_a_topic_that_is_missing_is_named_and_does_not_stay_so(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, story: Story, pair: tuple[str, str], gatepost: Gatepost
):
    login = fed(f"topic-{secrets.token_hex(6)}x", await person(story))
    options: dict[str, Any] = {"bootstrap_servers": stack.kafka, "request_timeout_ms": 1000}
    async with TopicFeed(pair, story.account, **options) as feed:
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(feed_topic, "TOPIC", "no-such-topic")
            with pytest.raises(KafkaRefuses, match=r"no-topic.*topics check"):
                await feed.put(login)
        await feed.put(login)
    assert (await taken(gatepost, login.reference)).status == "signed_in"


@pytest_asyncio.fixture
async def tight(stack: Stack, story: Story) -> AsyncIterator[Gatepost]:
    """A client of an account that may feed ten logins a second."""
    name = f"tight-{secrets.token_hex(4)}"
    account = (await story.api.expect(201, "gateway", "POST", "/v1/accounts", {"name": name}))["account_id"]
    await story.api.expect(
        200, "gateway", "PATCH", f"/v1/accounts/{account}", {"settings": {"feed_per_minute": PER_MINUTE}}
    )
    body = {"scopes": ["feed"], "account": account, "name": "tight"}
    made = await story.api.expect(201, "gateway", "POST", "/v1/clients", body)
    async with Gatepost(story.api.urls["gateway"], client=(made["client_id"], made["client_secret"])) as opened:
        yield opened


async def test_a_platform_paces_itself_by_what_is_left_of_its_budget(tight: Gatepost, monkeypatch: pytest.MonkeyPatch):
    """Its references are no good, so that each costs the budget's part and nothing else."""
    met, call = list[gp.GatepostError](), tight.feed._gateway.call

    async def told(*given: Any, **more: Any) -> Any:
        try:
            return await call(*given, **more)
        except gp.GatepostError as error:
            met.append(error)
            raise

    def logins() -> Iterator[gp.FedLogin]:
        for number in range(PER_MINUTE + 25):
            who = gp.FedUser(external_id="nobody")
            yield gp.FedLogin(reference=f"{number}@example.com", user=who, authenticated_at=datetime.now(UTC))

    monkeypatch.setattr(tight.feed._gateway, "call", told)
    begun = asyncio.get_running_loop().time()
    found = [one async for one in tight.feed.send(logins(), batch=25)]
    took = asyncio.get_running_loop().time() - begun
    assert len(found) == PER_MINUTE + 25
    assert not met, "it never ran into a 429"
    assert took > 2, "the last 25 came in while the bucket was empty"
    assert tight.feed.budget is not None
    assert (tight.feed.budget.most, tight.feed.budget.seconds) == (PER_MINUTE, 60)
    assert tight.feed.budget.left < 50
