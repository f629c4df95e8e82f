"""The second road where there is no Kafka; with it, `tests/e2e/client` of Gatepost's repository."""

import asyncio
import socket
from typing import Any

import pytest
from test_fed_records import ACCOUNT, login

import gatepost_client as gp
from gatepost_client.feed_topic import TopicFeed
from gatepost_client.topics import delivery_outcomes

CLIENT = ("cl_1", "a-secret")


@pytest.fixture
def nowhere() -> dict[str, Any]:
    """A port of this machine where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return {"bootstrap_servers": f"127.0.0.1:{taken.getsockname()[1]}"}


async def test_a_kafka_that_cannot_be_reached_is_our_own_error_and_leaves_nothing_behind(nowhere: dict[str, Any]):
    before = asyncio.all_tasks()
    with pytest.raises(gp.Unavailable, match="Kafka cannot be reached"):
        async with TopicFeed(CLIENT, ACCOUNT, **nowhere):
            pass
    assert asyncio.all_tasks() == before
    with pytest.raises(gp.Unavailable, match="delivery-outcomes cannot be read"):
        async with delivery_outcomes(**nowhere):
            pass


async def test_bad_input_is_refused_before_kafka_is_asked(nowhere: dict[str, Any]):
    feed = TopicFeed(CLIENT, ACCOUNT, **nowhere)
    with pytest.raises(gp.BadRequest, match="bad-reference"):
        await feed.put(login(reference="ada@example.com"))
    bad = [login(reference="ada@example.com"), login(reference="r-2", user=gp.FedUser())]
    assert [(one.reference, one.reason) async for one in feed.send(bad) if isinstance(one, gp.Refused)] == [
        ("ada@example.com", "bad-reference"),
        ("r-2", "one-of-user-id-and-external-id"),
    ]
    with pytest.raises(gp.Unavailable):
        await feed.put(login())


def test_a_producer_comes_with_its_own_options():
    with pytest.raises(ValueError, match="not both"):
        TopicFeed(CLIENT, ACCOUNT, producer=object(), bootstrap_servers="kafka:9093")
