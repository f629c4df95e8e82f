"""The gateway's whole application on real Kafka and Postgres, called over HTTP.

With GATEPOST_TEST_KAFKA (and GATEPOST_TEST_DSNS, GATEPOST_TEST_KEYS) it uses what runs there; otherwise the session's
`stack`. Users come with tokens of this file: whether a session is live is the session store's matter.
"""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from schemas import topics
from schemas.events import AnyEvent
from services.login_gateway.administration import ADMINISTRATION, Administration
from services.login_gateway.app import built
from services.login_gateway.clients import NewClient
from services.login_gateway.postgres import clients
from services.login_gateway.settings import GatewaySettings
from services.login_gateway.who import COMMAND_LINE
from services.platform.auth import EVERY, INTROSPECT, User
from services.platform.cli import basic
from services.platform.clock import new_id
from services.platform.settings import load
from tests.integration.heard import listening

HEARD = (topics.SESSION_EVENTS.name, topics.LOGIN_OUTCOMES.name, topics.CLIENTS.name, topics.LOGIN_CHALLENGES.name)
PASSWORD = "correct horse battery"


class Answer(NamedTuple):
    status: int
    data: Any
    headers: Any


class Heard:
    """What really went out on the topics since the session began, without what is forged."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    async def wait(self, wanted: Callable[[Any], bool], seconds: float = 10) -> Any:
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            if found := [event for event in self.events if wanted(event)]:
                return found[-1]
            await asyncio.sleep(0.02)
        raise AssertionError("no such event arrived")

    def count(self, wanted: Callable[[Any], bool]) -> int:
        return sum(1 for event in self.events if wanted(event))


class Gateway:
    """Calls as a client or a user, and what a test needs to know beside the answers."""

    def __init__(self, http: ClientSession, base: str, app: web.Application, root: str) -> None:
        self._http = http
        self.base = base
        self.root = {"Authorization": root}
        self.admin: Administration = app[ADMINISTRATION]
        self.app = app
        self._tokens: dict[str, User] = {}

    async def introspect(self, token: str) -> User | None:
        return self._tokens.get(token)

    async def __call__(
        self, method: str, path: str, body: Any = None, who: Any = "root", headers: Any = None, raw: Any = None
    ) -> Answer:
        given = {} if who is None else self.root if who == "root" else who
        options = {"data": raw} if raw is not None else {"json": body} if body is not None else {}
        async with self._http.request(
            method, self.base + path, headers={**given, **(headers or {})}, **options
        ) as answer:
            text = await answer.text()
            kind = answer.content_type
            data = [json.loads(line) for line in text.splitlines()] if kind.endswith("ndjson") else json.loads(text)
            return Answer(answer.status, data, answer.headers)

    def user(self, account_id: str, role: str = "admin", age: timedelta = timedelta(minutes=1)) -> dict[str, str]:
        """Headers of a user of that account who signed in `age` ago."""
        token = f"gp_{secrets.token_urlsafe(16)}"
        self._tokens[token] = User(str(new_id()), account_id, role, datetime.now(UTC) - age)
        return {"Authorization": f"Bearer {token}"}

    async def client(self, account: str, *scopes: Any) -> dict[str, str]:
        """Headers of a new client, made as the command line would."""
        made = await clients.create(self.admin, COMMAND_LINE, NewClient(set(scopes)), account)
        return {"Authorization": basic(f"{made.client_id}:{made.client_secret}")}

    async def account(self, **settings: int) -> dict[str, Any]:
        body = {"name": f"t-{secrets.token_hex(6)}", "settings": settings}
        answer = await self("POST", "/v1/accounts", body)
        assert answer.status == 201, answer.data
        return dict(answer.data)

    async def make(self, account: dict[str, Any], **fields: Any) -> dict[str, Any]:
        body = {"username": f"u-{secrets.token_hex(6)}", "password": PASSWORD, **fields}
        answer = await self("POST", f"/v1/accounts/{account['account_id']}/users", body)
        assert answer.status == 201, answer.data
        return dict(answer.data)

    async def audit(self, subject: str) -> list[Any]:
        return list(await self.admin.pool.fetch("SELECT * FROM audit WHERE subject = $1 ORDER BY id", subject))

    async def epoch(self, user_id: str) -> int:
        found: int = await self.admin.pool.fetchval("SELECT epoch FROM users WHERE user_id = $1::text::uuid", user_id)
        return found


@pytest.fixture(scope="session")
def environ(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a gateway process."""
    kafka = os.environ.get("GATEPOST_TEST_KAFKA")
    if kafka is None:
        stack: Any = request.getfixturevalue("stack")
        return dict(stack.environment.of_service("gateway"))
    dsn = json.loads(Path(os.environ["GATEPOST_TEST_DSNS"]).read_text())["gateway"]["own"]
    keys = str(Path(os.environ["GATEPOST_TEST_KEYS"]) / "gateway")
    return {"GATEPOST_KAFKA": kafka, "GATEPOST_DATABASE": dsn, "GATEPOST_KEYS": keys, "GATEPOST_HTTP_PORT": "0"}


@pytest_asyncio.fixture(scope="session")
async def heard(environ: dict[str, str]) -> AsyncIterator[Heard]:
    found, keys = Heard(), Path(environ["GATEPOST_KEYS"])
    async with listening(environ["GATEPOST_KAFKA"], keys, HEARD, "gatepost-test-admin", found.events):
        yield found


@pytest_asyncio.fixture(scope="session")
async def gateway(environ: dict[str, str], heard: Heard) -> AsyncIterator[Gateway]:
    settings = _settings(environ)
    async with built(settings) as app, ClientSession() as http:
        made = await clients.create(
            app[ADMINISTRATION], COMMAND_LINE, NewClient({"accounts:write", "operate"}, "tests"), EVERY
        )
        root = basic(f"{made.client_id}:{made.client_secret}")
        async with TestServer(app) as server:
            found = Gateway(http, str(server.make_url("")).rstrip("/"), app, root)
            app._state[INTROSPECT] = found.introspect  # the app is frozen; only who is signed in is replaced
            yield found


def _settings(environ: dict[str, str]) -> GatewaySettings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.delenv("GATEPOST_CLIENT_FILE", raising=False)
        return load(GatewaySettings)


@pytest_asyncio.fixture(scope="session")
async def account(gateway: Gateway) -> dict[str, Any]:
    return await gateway.account()


@pytest_asyncio.fixture
async def database(environ: dict[str, str]) -> AsyncIterator[Any]:
    dsn = _settings(environ).database.get_secret_value()
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()
