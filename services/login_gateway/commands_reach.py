"""How the gateway's commands reach it: over HTTP as whoever signed in, or with database access by themselves.

With GATEPOST_DATABASE (or _FILE) and GATEPOST_KEYS a command serves the gateway's own administrative calls to itself on
a Unix socket that only this user can open: that is how the first client and the first administrator are made.
"""

import asyncio
import json
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import msgspec
from aiohttp import web

from services.platform import cli

T = TypeVar("T")
TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=5, sock_read=60)
OWN_KEYS: Final = ("grants", "contacts", "search")


class Api:
    """Calls to the gateway's HTTP API."""

    def __init__(self, session: aiohttp.ClientSession, base: str, authorization: str) -> None:
        self._session = session
        self._base = base
        self._headers = {"Authorization": authorization, "Content-Type": "application/json"}

    async def __call__(self, method: str, path: str, body: object = None, **query: Any) -> Any:
        """The answer as JSON; a problem document ends the command with exit code 1."""
        data = msgspec.json.encode(body) if body is not None else None
        given = {name: str(value) for name, value in query.items() if value is not None}
        url = self._base + path
        async with self._session.request(method, url, params=given, data=data, headers=self._headers) as answer:
            return _read(answer.status, await answer.read())

    async def stream(self, path: str, lines: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Send NDJSON while reading NDJSON."""
        headers = {**self._headers, "Content-Type": "application/x-ndjson"}
        async with self._session.post(self._base + path, data=lines, headers=headers) as answer:
            if answer.status >= 400:
                _read(answer.status, await answer.read())
            async for line in answer.content:
                yield json.loads(line)


def run(action: Callable[[Api], Awaitable[T]]) -> T:
    """Reach the gateway and do something; one that does not answer ends the command with exit code 1."""
    return asyncio.run(_run(action))


async def _run(action: Callable[[Api], Awaitable[T]]) -> T:
    try:
        async with _reach() as api:
            return await action(api)
    except (aiohttp.ClientError, OSError, TimeoutError) as away:
        cli.fail(f"The gateway or its database does not answer ({type(away).__name__}). Is it running?")


def has_database_access() -> bool:
    named = os.environ.keys()
    return "GATEPOST_KEYS" in named and bool({"GATEPOST_DATABASE", "GATEPOST_DATABASE_FILE"} & named)


@asynccontextmanager
async def _reach() -> AsyncIterator[Api]:
    if has_database_access():
        async with _by_ourselves() as api:
            yield api
        return
    saved = cli.saved()
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        yield Api(session, saved.gateway, saved.authorization)


@asynccontextmanager
async def _by_ourselves() -> AsyncIterator[Api]:
    async with AsyncExitStack() as stack:
        secret = secrets.token_urlsafe(32)
        app = await _application(stack, secret)
        socket = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-"))) / "gateway"
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.UnixSite(runner, str(socket)).start()
        connector = aiohttp.UnixConnector(str(socket))
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=TIMEOUT))
        yield Api(session, "http://gateway", cli.basic(f"command-line:{secret}"))


async def _application(stack: AsyncExitStack, secret: str) -> web.Application:
    from services.login_gateway.routes import sessions
    from services.login_gateway.routes.administration import mount
    from services.login_gateway.who import COMMAND_LINE
    from services.platform.auth import CHECK_CLIENT, Client
    from services.platform.http import problems

    async def check(client_id: str, given: str) -> Client | None:
        return COMMAND_LINE if secrets.compare_digest(given, secret) else None

    app = web.Application(middlewares=[problems])
    app[CHECK_CLIENT] = check
    mount(app, await _administration(stack))
    sessions.add_routes(app)
    return app


async def _administration(stack: AsyncExitStack) -> Any:
    from services.login_gateway.administration import Administration
    from services.login_gateway.passwords import Passwords
    from services.platform.clock import SystemClock
    from services.platform.keys.contacts import Contacts
    from services.platform.keys.grants import Signer
    from services.platform.keys.keyring import Keyrings
    from services.platform.postgres import connect
    from services.platform.settings import secret_of

    rings = Keyrings.load(Path(os.environ["GATEPOST_KEYS"]), OWN_KEYS)
    pool = await connect(secret_of("DATABASE"), "command", 4)
    stack.push_async_callback(pool.close)
    passwords = Passwords()
    stack.callback(passwords.close)
    return Administration(
        pool=pool,
        signer=Signer(rings.secret("grants")),
        contacts=Contacts(rings.secret("contacts")),
        search=rings.secret("search"),
        passwords=passwords,
        clock=SystemClock(),
        outbox=await _outbox(stack, pool),
    )


async def _outbox(stack: AsyncExitStack, pool: Any) -> Any:
    """Publish at once where Kafka is named; otherwise a running gateway's sweeper does it."""
    if "GATEPOST_KAFKA" not in os.environ:
        return None
    from services.platform.kafka import Connection, Producer
    from services.platform.outbox import Outbox
    from services.platform.settings import KafkaSettings, parsed

    producer = Producer(Connection.of(parsed(KafkaSettings, os.environ)), "gateway-command")
    outbox = Outbox(pool, producer)
    stack.push_async_callback(producer.stop)
    stack.push_async_callback(outbox.drain)
    return outbox


def _read(status: int, data: bytes) -> Any:
    content = json.loads(data) if data else {}
    if status >= 400:
        field = f" [{content['field']}]" if content.get("field") else ""
        cli.fail(f"{content.get('detail', 'The call failed.')}{field} ({status} {content.get('type', '')})")
    return content
