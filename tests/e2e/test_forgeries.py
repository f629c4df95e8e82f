"""Who can write to the topics, but has no key of the gateway, opens no session and ends none."""

import asyncio
import base64
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer

from deploy.local.story import Story, begun
from schemas import codec, topics
from schemas.events import EXACT, ClientChanged, Event, ExpireAll, Verified
from services.platform.auth import hash_secret
from services.platform.clock import event_id
from services.platform.kafka import Connection, Producer
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Keyrings

SESSIONS = topics.SESSION_EVENTS.name


class Writer:
    """Writes any bytes to any topic, and sees the reasons of the dead letters."""

    def __init__(self, story: Story) -> None:
        self._producer = Producer(Connection(story.kafka), "forger")
        self.rings = Keyrings(story.gateway_keys)
        self._consumer = AIOKafkaConsumer(
            topics.DEAD_LETTERS.name, bootstrap_servers=story.kafka, auto_offset_reset="latest"
        )

    async def start(self) -> None:
        await self._consumer.start()
        await self._consumer.seek_to_end()
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)

    async def stop(self) -> None:
        await self._consumer.stop()
        await self._producer.stop()

    async def write(self, topic: str, key: bytes, value: bytes, signature: bytes | None) -> None:
        headers = [] if signature is None else [(topics.SIGNATURE_HEADER, signature)]
        await self._producer.send(topic, key, value, headers)

    def signed(self, topic: str, key: bytes, value: bytes) -> bytes:
        return Signer(self.rings.secret("grants")).sign(topic, key, value)

    async def dead_letter(self, key: bytes) -> str:
        """Why the session store refused the record with that key; delivery reads the topic too and has its own say."""
        async with asyncio.timeout(20):
            async for record in self._consumer:
                headers = dict(record.headers)
                if record.key == key and headers["service"] == b"session-store":
                    return str(headers["reason"], "utf-8")
        raise AssertionError("no dead letter")


@pytest_asyncio.fixture(loop_scope="session")
async def writer(story: Story) -> Any:
    made = Writer(story)
    await made.start()
    yield made
    await made.stop()


def verified(story: Story, writer: Writer) -> tuple[Verified, str]:
    """A `Verified` of the forger's own, and the token that it would make good."""
    return begun(writer.rings, story.account, str(uuid4()), datetime.now(UTC) - timedelta(minutes=1), EXACT)


async def test_a_signed_verified_opens_its_session_so_that_the_forgeries_below_mean_something(story, writer):
    event, token = verified(story, writer)
    key, value = topics.key_of(event), codec.encode(event)
    await writer.write(SESSIONS, key, value, writer.signed(SESSIONS, key, value))
    assert (await story.becomes(token, True))["sub"] == event.user_id


@pytest.mark.parametrize("how", ["unsigned", "altered", "other-key", "other-topic"])
async def test_a_verified_that_the_gateway_did_not_sign_is_a_dead_letter_and_opens_nothing(story, writer, how):
    event, token = verified(story, writer)
    key, value = topics.key_of(event), codec.encode(event)
    signature = {
        "unsigned": None,
        "altered": writer.signed(SESSIONS, key, value + b" "),
        "other-key": writer.signed(SESSIONS, b"another", value),
        "other-topic": writer.signed("clients", key, value),
    }[how]
    await writer.write(SESSIONS, key, value, signature)
    assert await writer.dead_letter(key) == "bad-signature"
    assert await story.introspect(token) == {"active": False}


async def test_a_floor_in_the_year_2286_is_refused_even_when_it_is_signed(story, writer):
    user = str(uuid4())
    event = ExpireAll(
        id=event_id("far", user),
        source="gatepost/forger",
        time=datetime.now(UTC),
        account_id=story.account,
        user_id=user,
        scope="user",
        floor=9_999_999_999_999,
        by="forger",
    )
    key, value = topics.key_of(event), codec.encode(event)
    await writer.write(SESSIONS, key, value, writer.signed(SESSIONS, key, value))
    assert await writer.dead_letter(key) == "floor-ahead"


def changed(event: Event, **fields: Any) -> bytes:
    return json.dumps(json.loads(codec.encode(event)) | fields).encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"issued_at": "2026-11-24T09:30:00"},
        {"auth_time": "0001-01-01T00:00:00+14:00"},
        {"account_epoch": 2**63},
        {"secret_hash": "no hash"},
        {"device": "d" * 10_000},
    ],
)
async def test_a_verified_beyond_its_bounds_opens_nothing_even_when_it_is_signed(story, writer, fields):
    event, token = verified(story, writer)
    key, value = topics.key_of(event), changed(event, **fields)
    await writer.write(SESSIONS, key, value, writer.signed(SESSIONS, key, value))
    assert await writer.dead_letter(key) == "invalid"
    assert await story.introspect(token) == {"active": False}


@pytest.mark.parametrize("floor", [-1, 2**63, 10**30])
async def test_a_floor_beyond_its_bounds_ends_nothing_even_when_it_is_signed(story, writer, floor):
    event, token = verified(story, writer)
    await _write_signed(writer, event, codec.encode(event))
    await story.becomes(token, True)
    end = ExpireAll(
        id=event_id("end", event.user_id),
        source="gatepost/forger",
        time=datetime.now(UTC),
        account_id=story.account,
        user_id=event.user_id,
        scope="user",
        floor=1,
        by="forger",
    )
    await _write_signed(writer, end, changed(end, floor=floor))
    assert await writer.dead_letter(topics.key_of(end)) == "invalid"
    assert (await story.introspect(token))["active"]


async def _write_signed(writer: Writer, event: Event, value: bytes) -> None:
    key = topics.key_of(event)
    await writer.write(SESSIONS, key, value, writer.signed(SESSIONS, key, value))


async def test_an_unsigned_client_is_a_dead_letter_and_may_do_nothing(story, writer):
    client_id, secret = f"cl_{os.urandom(8).hex()}", os.urandom(16).hex()
    event = ClientChanged(
        id=event_id("forged", client_id),
        source="gatepost/forger",
        time=datetime.now(UTC),
        account_id="*",
        client_id=client_id,
        secret_hash=base64.urlsafe_b64encode(hash_secret(secret)).decode(),
        account="*",
        scopes=("introspect", "operate", "internal"),
        enabled=True,
        revision=10**9,
    )
    await writer.write(topics.CLIENTS.name, client_id.encode(), codec.encode(event), None)
    assert await writer.dead_letter(client_id.encode()) == "bad-signature"
    headers = {"Authorization": aiohttp.encode_basic_auth(client_id, secret)}
    url = story.api.urls["session_store"] + "/v1/introspect"
    async with story.session.post(url, data={"token": "gp_x"}, headers=headers) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "bad-signature"),
        (b"not json", "bad-signature"),
        (b"{}", "bad-signature"),
        (b"x" * 1_000_000, "bad-signature"),
    ],
)
async def test_what_is_no_event_stops_nothing(story, writer, value, reason):
    key = uuid4().hex.encode()
    await writer.write(SESSIONS, key, value, None)
    assert await writer.dead_letter(key) == reason
    event, token = verified(story, writer)
    good = codec.encode(event)
    await writer.write(SESSIONS, topics.key_of(event), good, writer.signed(SESSIONS, topics.key_of(event), good))
    await story.becomes(token, True)
