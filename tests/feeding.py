"""A platform that feeds by the topic `logins`; it signs as docs/feeds.md says, not by the product's own code."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.platform.kafka import Connection, Producer


def signature(client_id: str, secret: str, value: bytes) -> bytes:
    seed = hmac.new(secret.encode(), b"gatepost feed key", hashlib.sha256).digest()
    signed = Ed25519PrivateKey.from_private_bytes(seed).sign(b"gatepost logins\n" + value)
    return client_id.encode() + b":" + base64.urlsafe_b64encode(signed).rstrip(b"=")


def record(account: object, item: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An item of `POST /v1/feed/logins` as an event."""
    envelope = {"type": "LoginFed", "id": str(uuid4()), "source": "platform", "account_id": str(account)}
    return envelope | {"time": datetime.now(UTC).isoformat()} | item | more


class Writer(NamedTuple):
    """One client of an account, on a real producer."""

    producer: Producer
    account: object
    client_id: str
    secret: str

    async def feed(self, *items: dict[str, Any]) -> None:
        """Each in its order; returns once Kafka has all of them."""
        await asyncio.gather(*(self.put(record(self.account, item)) for item in items))

    async def put(self, event: dict[str, Any], key: str | None = None) -> None:
        value = msgspec.json.encode(event)
        await self.raw((key or event["reference"]).encode(), value, signature(self.client_id, self.secret, value))

    async def raw(self, key: bytes, value: bytes, signed: bytes | None) -> None:
        await self.under(key, value, [("gatepost-signature", signed)] if signed is not None else [])

    async def under(self, key: bytes, value: bytes, headers: Any) -> None:
        await self.producer.send("logins", key, value, headers, timeout=30)


@asynccontextmanager
async def producing(kafka: str) -> AsyncIterator[Producer]:
    producer = Producer(Connection(kafka), "gatepost-test-platform")
    try:
        yield producer
    finally:
        await producer.stop()


def items(users: Iterable[object], prefix: str) -> list[dict[str, Any]]:
    """One login for each of them, with their password step just now."""
    now = datetime.now(UTC).isoformat()
    return [
        {"reference": f"{prefix}-{number}x", "user": {"user_id": str(user)}, "authenticated_at": now}
        for number, user in enumerate(users)
    ]
