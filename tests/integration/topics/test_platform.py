"""The Python client where Kafka checks rights: it says what is missing, and the lines of `topics rights` mend it."""

import ssl
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from gatepost_client import FedLogin, FedUser, Unavailable
from gatepost_client.feed_topic import TopicFeed
from gatepost_client.kafka import KafkaRefuses
from gatepost_client.topics import delivery_outcomes
from schemas.topics import LOGINS
from services.platform import acls
from tests.integration.topics.conftest import Broker

ACCOUNT = "0197a0b0-0000-7000-8000-000000000000"


CLIENT = ("cl_1", "a-secret")


def login(reference: str) -> FedLogin:
    return FedLogin(reference=reference, user=FedUser(external_id="e"), authenticated_at=datetime.now(UTC))


def as_platform(broker: Broker) -> dict[str, Any]:
    cert, key = broker.authority.pair("platform")
    context = ssl.create_default_context(cafile=str(broker.authority.file))
    context.load_cert_chain(cert, key)
    address = f"127.0.0.1:{broker.ports.inbox}"
    return {"bootstrap_servers": address, "security_protocol": "SSL", "ssl_context": context}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(broker: Broker) -> dict[str, Any]:
    """It was refused before it had the right to write."""
    options = as_platform(broker)
    with pytest.raises(KafkaRefuses, match=r"no-right.*topics rights"):
        async with TopicFeed(CLIENT, ACCOUNT, **options):
            pass
    await broker.run(acls.topics("--add", "Write", "User:CN=platform", ["logins"]))
    return options


async def test_who_may_write_may_not_read(platform: dict[str, Any]):
    async with TopicFeed(CLIENT, ACCOUNT, **platform) as feed:
        assert (await feed.put(login("r-1"))).reference == "r-1"
    with pytest.raises(KafkaRefuses, match=r"no-right.*topics rights"):
        async with delivery_outcomes(group_id="platform", **platform) as outcomes:
            await anext(aiter(outcomes))


async def test_a_record_that_kafka_refuses_keeps_none_after_it_from_being_written(
    broker: Broker, platform: dict[str, Any]
):
    """aiokafka's idempotent producer would take no more for that partition."""
    async with TopicFeed(CLIENT, ACCOUNT, **platform) as feed:
        await feed.put(login("r-2"))
        await broker.set("logins", LOGINS.settings() | {"max.message.bytes": "100"})
        with pytest.raises(KafkaRefuses, match="too-large"):
            await until_it_is_refused(feed)
        await broker.set("logins", LOGINS.settings())
        await until_it_is_taken(feed)
        written = [one.reference async for one in feed.send(login(f"r-{number}") for number in range(40))]
    assert written == [f"r-{number}" for number in range(40)]


async def until_it_is_refused(feed: TopicFeed) -> None:
    """A broker heeds a new setting soon, not at once."""
    while True:
        await feed.put(login("r-2"))


async def until_it_is_taken(feed: TopicFeed) -> None:
    while True:
        try:
            await feed.put(login("r-2"))
        except KafkaRefuses:
            continue
        return


async def test_whom_kafka_does_not_know_is_told_that_it_cannot_be_reached(broker: Broker):
    stranger = as_platform(broker) | {"ssl_context": ssl.create_default_context()}
    with pytest.raises(Unavailable, match="Kafka cannot be reached"):
        async with TopicFeed(CLIENT, ACCOUNT, **stranger):
            pass
