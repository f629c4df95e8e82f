"""What the tests say to the session store as the gateway would, and what they ask it."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import aiohttp
import msgspec
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from schemas.events import Event, ExpireAll, SessionPolicyChanged, SessionRevoked, Verified
from schemas.topics import SESSION_EVENTS, SIGNATURE_HEADER
from services.platform.auth import hash_secret
from services.platform.clock import new_id
from services.platform.kafka import Producer
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import SessionTokens, secret_hash
from services.platform.outbox import OutboxRow, row_for
from services.session_store.app import built
from services.session_store.settings import SessionStoreSettings
from services.session_store.store import STORE
from tests.integration.databases import CONNECTIONS

CLIENT = (
    "INSERT INTO clients (client_id, secret_hash, account, scopes, enabled, revision) VALUES ($1, $2, $3, $4, true, 1)"
)


class Place(NamedTuple):
    kafka: str
    dsn: str
    keys: Path


class Made(NamedTuple):
    event: Verified
    token: str


@dataclass(kw_only=True)
class World:
    base: str
    app: aiohttp.web.Application
    http: aiohttp.ClientSession
    producer: Producer
    signer: Signer
    tokens: SessionTokens
    internal: dict[str, str]

    async def call(self, method: str, path: str, **sent: Any) -> tuple[int, Any]:
        given = {"headers": self.internal} | sent
        async with self.http.request(method, self.base + path, **given) as answer:
            return answer.status, await answer.json(content_type=None)

    async def client(self, account: str, *scopes: str) -> dict[str, str]:
        name, secret = f"test-{uuid4()}", os.urandom(16).hex()
        await self.app[STORE].pool.execute(CLIENT, name, hash_secret(secret), account, list(scopes))
        return {"Authorization": aiohttp.encode_basic_auth(name, secret)}

    def session(
        self,
        days_old: float = 0,
        account: str | None = None,
        user: str | None = None,
        born: datetime | None = None,
        login_id: Any = None,
        **more: Any,
    ) -> Made:
        """A sign-in as the gateway would tell it, and its token; `more` are fields of the event."""
        login_id, secret = login_id or new_id(), os.urandom(16)
        born = born or (datetime.now(UTC) - timedelta(days=days_old)).replace(microsecond=0)
        event = Verified(
            **envelope(account or str(uuid4()), user or str(uuid4()), str(login_id)),
            issued_at=born,
            auth_time=born,
            amr=("pwd",),
            acr="urn:gatepost:acr:pwd",
            aud="apps",
            role="user",
            secret_hash=base64.urlsafe_b64encode(secret_hash(secret)).decode(),
            account_epoch=1,
            user_epoch=1,
        )
        event = msgspec.structs.replace(event, **more)
        return Made(event, self.tokens.make(login_id, int(born.timestamp()), secret))

    def unheard_of(self, account: str) -> OutboxRow:
        """An event of a type that the store does not know, signed as the gateway would sign it."""
        event = envelope(account, account) | {"type": "UserFrozen"}
        key, value = account.encode(), msgspec.json.encode(event)
        signature = base64.urlsafe_b64encode(self.signer.sign(SESSION_EVENTS.name, key, value)).decode()
        return OutboxRow(new_id(), SESSION_EVENTS.name, key, value, {SIGNATURE_HEADER: signature})

    def signed(self, event: Event) -> OutboxRow:
        return row_for(event, self.signer)

    async def publish(self, event: Event) -> None:
        await self.send(self.signed(event))

    async def send(self, row: OutboxRow) -> None:
        await self.producer.send(row.topic, row.key, row.value, row.kafka_headers())

    async def tell(self, row: OutboxRow, signature: str | None = None) -> tuple[int, Any]:
        """The same bytes by the second road."""
        return await self.call("POST", "/v1/events", json=by_second_road(row, signature))

    async def open(self, **how: Any) -> Made:
        """A session that is known and alive."""
        made = self.session(**how)
        await self.publish(made.event)
        await self.becomes(made, True)
        return made

    async def active(self, made: Made, headers: Any = None) -> Any:
        sent = {"data": {"token": made.token}, "headers": headers or self.internal}
        status, answer = await self.call("POST", "/v1/introspect", **sent)
        return answer["active"] if status == 200 else status

    async def becomes(self, made: Made, wanted: bool | int, seconds: float = 15) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while (found := await self.active(made)) != wanted:
            assert asyncio.get_running_loop().time() < deadline, f"it stayed {found}"
            await asyncio.sleep(0.05)

    async def ready(self, seconds: float = 30) -> None:
        """Wait as whoever starts a store waits."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (await self.call("GET", "/readyz"))[0] != 200:
            assert asyncio.get_running_loop().time() < deadline, "it was not ready in time"
            await asyncio.sleep(0.05)

    async def stored(self, made: Made) -> bool:
        return await self.app[STORE].find(UUID(made.event.login_id)) is not None


def by_second_road(row: OutboxRow, signature: str | None = None) -> dict[str, Any]:
    given = row.headers.get(SIGNATURE_HEADER, "") if signature is None else signature
    event = {
        "topic": row.topic,
        "key": base64.b64encode(row.key).decode(),
        "value": base64.b64encode(row.value).decode(),
        "signature": base64.b64encode(base64.urlsafe_b64decode(given)).decode(),
    }
    return {"events": [event]}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def envelope(account: str, user: str | None = None, login: str | None = None) -> dict[str, Any]:
    ids = {"account_id": account, "user_id": user, "login_id": login}
    return {"id": str(uuid4()), "source": "gatepost/test", "time": datetime.now(UTC), **ids}


def expire(made: Made, scope: Any, floor: int = 2) -> ExpireAll:
    user = made.event.user_id if scope == "user" else None
    return ExpireAll(**envelope(made.event.account_id, user), scope=scope, floor=floor, by="test")


def revoked(made: Made) -> SessionRevoked:
    return SessionRevoked(**envelope(made.event.account_id, made.event.user_id, made.event.login_id), by="test")


def length(made: Made, days: int, days_ago: float = 0) -> SessionPolicyChanged:
    since = datetime.now(UTC) - timedelta(days=days_ago)
    return SessionPolicyChanged(**envelope(made.event.account_id), max_age=days * 86_400, effective_at=since, by="test")


@asynccontextmanager
async def opened(place: Place, producer: Producer) -> AsyncIterator[World]:
    gateway, store = Keyrings(place.keys / "gateway"), place.keys / "session-store"
    given: dict[str, Any] = {"kafka": place.kafka, "database": SecretStr(place.dsn), "keys": store, "http_port": 0}
    settings = SessionStoreSettings(**given, database_pool=CONNECTIONS)
    async with built(settings) as app, TestServer(app) as server, aiohttp.ClientSession() as http:
        world = World(
            base=str(server.make_url("")).rstrip("/"),
            app=app,
            http=http,
            producer=producer,
            signer=Signer(gateway.secret("grants")),
            tokens=SessionTokens(gateway.secret("session")),
            internal={},
        )
        world.internal = await world.client("*", "internal", "introspect", "accounts:write")
        await world.ready()
        yield world
