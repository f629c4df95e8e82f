"""Canaries by Kafka: what somebody with write access may put on the topics. It must not spread from there."""

import json
from datetime import UTC, datetime
from typing import Any

from schemas import codec, topics
from schemas.events import FedContext, FedUser, LoginFed
from services.platform.clock import new_id
from services.platform.kafka import Connection, Producer
from tests.secrecy.play import Cast, until


async def play(cast: Cast) -> None:
    producer = Producer(Connection(cast.stack.kafka), "gatepost-test-secrecy")
    try:
        for topic in topics.TOPICS:
            for value in _bad_values(cast, topic.name):
                await _write(cast, producer, topic.name, value)
        event = _fed(cast)
        await producer.send(topics.LOGINS.name, topics.key_of(event), codec.encode(event))
    finally:
        await producer.stop()
    await until(lambda: _letters_are_kept(cast))


def _bad_values(cast: Cast, topic: str) -> list[bytes]:
    def new(shape: str = "{}") -> str:
        return cast.canaries.new("record", shape, topic)

    envelope = {"id": str(new_id()), "account_id": str(new_id()), "time": datetime.now(UTC).isoformat()}
    first = topics.TOPICS[0] if topic == "dead-letters" else next(t for t in topics.TOPICS if t.name == topic)
    known = first.events[0].__name__
    return [
        new().encode(),
        json.dumps(envelope | {"type": new(), "source": new()}).encode(),
        json.dumps(envelope | {"type": known, "source": new(), "user_id": new(), "masked": new()}).encode(),
        b"\xff" + new().encode("utf-16-le"),
    ]


async def _write(cast: Cast, producer: Producer, topic: str, value: bytes) -> None:
    key = cast.canaries.new("record key", "cy-key-{}", topic).encode()
    signature = cast.canaries.new("record", "{}", topic).encode()
    other = (cast.canaries.new("record", "{}", topic), cast.canaries.new("record", "{}", topic).encode())
    await producer.send(topic, key, value, [(topics.SIGNATURE_HEADER, signature), other])


def _fed(cast: Cast) -> LoginFed:
    def new() -> str:
        return cast.canaries.new("fed record")

    return LoginFed(
        id=str(new_id()),
        source="platform",
        time=datetime.now(UTC),
        account_id=cast.account,
        reference=cast.canaries.new("record key", "cy-key-{}", topics.LOGINS.name),
        user=FedUser(external_id=new()),
        authenticated_at=datetime.now(UTC),
        context=FedContext(ip=new(), user_agent=new(), locale=new(), origin=new(), device_id=new()),
    )


async def _letters_are_kept(cast: Cast) -> bool:
    """Whether the readers of every topic have refused theirs."""
    found: Any = await cast.api.expect(200, "delivery", "GET", "/v1/dead-letters")
    read = {letter["topic"] for letter in found["dead_letters"] if letter["at"] >= cast.since.isoformat()}
    wanted = {topic.name for topic in topics.TOPICS if topic.consumers and topic is not topics.DEAD_LETTERS}
    if wanted - read:
        return False
    letter = next(letter for letter in found["dead_letters"] if letter["service"] == "delivery")
    await _opened(cast, f"/v1/dead-letters/{letter['id']}")
    return True


async def _opened(cast: Cast, path: str) -> None:
    """What is shown to who asks must not be written anywhere."""
    for what in ("", "/record"):
        await cast.api.expect(200, "delivery", "GET", f"{path}{what}")
    await cast.api.call("delivery", "POST", f"{path}/replay")
    reason = cast.canaries.new("discard reason")
    await cast.api.expect(200, "delivery", "POST", f"{path}/discard", {"reason": reason})
