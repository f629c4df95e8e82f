"""What the tests of the login do to the gateway and see of it: calls, events, and the code as delivery derives it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from schemas.events import LoginChallenged, Verified
from services.delivery.challenges import bound_of
from services.login_gateway.accounts import NewAccount
from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.app import built
from services.login_gateway.clients import NewClient
from services.login_gateway.postgres import accounts, clients, users
from services.login_gateway.settings import GatewaySettings
from services.login_gateway.users import NewUser, TwoFactor
from services.login_gateway.who import COMMAND_LINE
from services.platform.cli import basic
from services.platform.keys.codes import Codes
from services.platform.keys.contacts import Contacts, open_login
from services.platform.keys.keyring import Keyrings

PASSWORD = "correct horse battery"
AGE = {
    "expires_at": "UPDATE logins SET expires_at = expires_at - make_interval(secs => $2) WHERE login_id = $1",
    "last_send_at": "UPDATE logins SET last_send_at = last_send_at - make_interval(secs => $2) WHERE login_id = $1",
    "ended_at": "UPDATE logins SET ended_at = ended_at - make_interval(secs => $2) WHERE login_id = $1",
}


class Answer(NamedTuple):
    status: int
    data: Any
    headers: Any

    @property
    def problem(self) -> str:
        return str(self.data["type"]).removeprefix("urn:gatepost:")


class Heard:
    """Events of the topics; a signed one counts only if its signature is right."""

    def __init__(self, keys: Path) -> None:
        rings = Keyrings(keys)
        self.events: list[Any] = []
        self._contacts, self._codes = Contacts(rings.secret("contacts")), Codes(rings.secret("code"))

    def all(self, kind: type, **wanted: Any) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind) and all(getattr(e, k) == v for k, v in wanted.items())]

    async def one(self, kind: type, seconds: float = 15, **wanted: Any) -> Any:
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            if found := self.all(kind, **wanted):
                return found[-1]
            await asyncio.sleep(0.02)
        raise AssertionError(f"no {kind.__name__} with {sorted(wanted)} arrived")

    async def code(self, login: dict[str, Any], channel: str = "sms", cause: str = "login") -> str:
        """The code as delivery derives it from the event: opened, with the keys that it has."""
        return self.derive(await self.one(LoginChallenged, login_id=login["login_id"], cause=cause), channel)

    def derive(self, event: LoginChallenged, channel: str) -> str:
        secrets = self.contacts_of(event)
        login_id, now = UUID(event.login_id), datetime.now(UTC)
        return self._codes.code(event.code_key_id, login_id, channel, secrets.salt, event.digits, now)

    def contacts_of(self, event: LoginChallenged) -> Any:
        return open_login(self._contacts, bound_of(event), event.sealed)


@dataclass(frozen=True)
class Place:
    kafka: str
    dsn: str
    keys: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def but(self, **settings: Any) -> "Place":
        """For a gateway of a few calls: each connection costs its start 30 ms of processor."""
        few = {"database_pool": 6, "feed_database_pool": 2}
        return replace(self, settings=few | self.settings | settings)

    def gateway(self) -> GatewaySettings:
        usual: dict[str, Any] = {"password_failure_floor_ms": 50, "wrong_passwords_address_15min": 100_000}
        given: dict[str, Any] = {
            "kafka": self.kafka,
            "database": SecretStr(self.dsn),
            "keys": self.keys,
            "http_port": 0,
        }
        return GatewaySettings(**(given | usual | self.settings))


class Member(NamedTuple):
    """A user of an account of their own."""

    account: str
    account_id: UUID
    user_id: UUID
    username: str
    phone: str | None
    email: str | None


@dataclass(kw_only=True)
class Desk:
    base: str
    app: aiohttp.web.Application
    http: aiohttp.ClientSession
    heard: Heard

    @property
    def pool(self) -> Any:
        return self.app[ADMINISTRATION].pool

    async def __call__(self, method: str, path: str, body: Any = None, raw: Any = None, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent: dict[str, Any] = {"data": raw} if raw is not None else {"json": body} if body is not None else {}
        async with self.http.request(method, self.base + path, headers=given, **sent) as answer:
            return Answer(answer.status, await answer.json(content_type=None), answer.headers)

    async def member(self, sms: bool = True, email: bool = False, mail: bool = True, **fields: Any) -> Member:
        """`mail`: whether an address is on file."""
        admin, tag = self.app[ADMINISTRATION], os.urandom(6).hex()
        made = await accounts.create(admin, COMMAND_LINE, NewAccount(name=f"t-{tag}"))
        phone = f"+4474{int.from_bytes(os.urandom(6), 'big') % 10**8:08d}" if sms else None
        address = f"u{tag}@example.com" if mail else None
        new = NewUser(
            username=f"u-{tag}",
            password=PASSWORD,
            phone=phone,
            email=address,
            two_factor=TwoFactor(sms, email),
            **fields,
        )
        user = await users.create(admin, COMMAND_LINE, made.account_id, new)
        return Member(made.name, made.account_id, user.user_id, new.username, phone, address)

    async def sign_in(self, who: Member, password: str = PASSWORD, more: Any = None, **headers: str) -> Answer:
        body = {"account": who.account, "username": who.username, "password": password, **(more or {})}
        return await self("POST", "/v1/logins", body, **headers)

    async def challenged(self, who: Member) -> dict[str, Any]:
        answer = await self.sign_in(who)
        assert answer.status == 202, answer.data
        return dict(answer.data)

    async def verify(self, login: dict[str, Any], code: str, **headers: str) -> Answer:
        return await self("POST", f"/v1/logins/{login['login']}/verify", {"code": code}, **headers)

    async def client(self, *scopes: Any, account: str = "*") -> str:
        """The Authorization of a new client."""
        made = await clients.create(self.app[ADMINISTRATION], COMMAND_LINE, NewClient(set(scopes)), account)
        return basic(f"{made.client_id}:{made.client_secret}")

    async def feed(self, platform: str, who: Member, reference: str) -> Answer:
        item = {"reference": reference, "user": {"user_id": str(who.user_id)}, "authenticated_at": _now()}
        return await self("POST", "/v1/feed/logins", {"logins": [item]}, Authorization=platform)

    async def guard(self, who: Member) -> Any:
        query = "SELECT *, cardinality(wrong_at) AS wrong FROM user_guard WHERE user_id = $1"
        return await self.pool.fetchrow(query, who.user_id)

    async def age(self, login: dict[str, Any], column: str, seconds: float) -> None:
        """Let time pass for one login."""
        await self.pool.execute(AGE[column], UUID(login["login_id"]), seconds)

    async def verified(self, login: dict[str, Any]) -> Verified:
        found: Verified = await self.heard.one(Verified, login_id=login["login_id"])
        return found


def _now() -> str:
    return datetime.now(UTC).isoformat()


def wrong(code: str, step: int = 1) -> str:
    """Another code of the same length."""
    return str((int(code) + step) % 10 ** len(code)).zfill(len(code))


async def eventually(holds: Callable[[], Any], seconds: float = 10, what: object = "it") -> Any:
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := await holds()):
        assert asyncio.get_running_loop().time() < deadline, f"{what} did not come true in time"
        await asyncio.sleep(0.05)
    return found


@asynccontextmanager
async def opened(place: Place, heard: Heard) -> AsyncIterator[Desk]:
    """A whole gateway in this process, on a port of its own."""
    limit = aiohttp.TCPConnector(limit=0)
    async with built(place.gateway()) as app, TestServer(app) as server, aiohttp.ClientSession(connector=limit) as http:
        yield Desk(base=str(server.make_url("")).rstrip("/"), app=app, http=http, heard=heard)


class Road:
    """A TCP road to Postgres that can be closed: what is on it ends, and nobody new gets through."""

    def __init__(self, dsn: str) -> None:
        self._dsn = urlsplit(dsn)
        self._open = True
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server
        self._port = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, dsn: str) -> AsyncIterator[Self]:
        road = cls(dsn)
        road._server = await asyncio.start_server(road._carry, "127.0.0.1", 0)
        try:
            yield road
        finally:
            road.close()
            road._server.close()

    @property
    def dsn(self) -> str:
        """The database, by this road."""
        port = self._server.sockets[0].getsockname()[1]
        netloc = f"{self._dsn.username}:{self._dsn.password}@127.0.0.1:{port}"
        return self._dsn._replace(netloc=netloc).geturl()

    def place(self, place: Place) -> Place:
        return replace(place, dsn=self.dsn)

    def close(self) -> None:
        self._open = False
        for writer in self._writers:
            writer.transport.abort()

    def reopen(self) -> None:
        self._open = True

    async def refuse(self) -> None:
        """As a server that is down: what is on the road ends, and connections are refused."""
        self._port = self._server.sockets[0].getsockname()[1]
        self.close()
        self._server.close()

    async def accept(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self.reopen()

    def hold(self) -> None:
        """Connections stay, and nothing comes through."""
        self._flows.clear()

    def let_go(self) -> None:
        self._flows.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(self._dsn.hostname, self._dsn.port)
        ends = {writer, back}
        self._writers |= ends
        with suppress(OSError):
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        self._writers -= ends

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
