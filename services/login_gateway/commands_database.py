"""Commands with database access (GATEPOST_DATABASE or _FILE, and GATEPOST_KEYS): no running gateway is needed.

Such a command serves the gateway's own administrative calls to itself, on a Unix socket that only this user can open:
that is how the first client and the first administrator are made.
"""

import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
from aiohttp import web

from services.login_gateway.administration import Administration
from services.login_gateway.passwords import Passwords
from services.login_gateway.routes import sessions
from services.login_gateway.routes.administration import mount
from services.login_gateway.who import COMMAND_LINE
from services.platform import cli
from services.platform.auth import CHECK_CLIENT, Client
from services.platform.clock import SystemClock
from services.platform.environment import secret_of
from services.platform.http import problems
from services.platform.kafka import Connection, Producer
from services.platform.keys.contacts import Contacts
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Keyrings
from services.platform.outbox import Outbox
from services.platform.postgres import connect
from services.platform.settings import KafkaSettings, parsed

OWN_KEYS: Final = ("grants", "contacts", "search")


@asynccontextmanager
async def served_by_ourselves(timeout: aiohttp.ClientTimeout) -> AsyncIterator[tuple[aiohttp.ClientSession, str, str]]:
    """A session, the base URL and the credentials for it."""
    async with AsyncExitStack() as stack:
        secret = secrets.token_urlsafe(32)
        keys, kafka = Path(os.environ["GATEPOST_KEYS"]), kafka_of_environment()
        app = _application(await administration(stack, secret_of("DATABASE"), keys, kafka), secret)
        socket = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-"))) / "gateway"
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.UnixSite(runner, str(socket)).start()
        connector = aiohttp.UnixConnector(str(socket))
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=timeout))
        yield session, "http://gateway", cli.basic(f"command-line:{secret}")


def _application(administration: Administration, secret: str) -> web.Application:
    async def check(client_id: str, given: str) -> Client | None:
        return COMMAND_LINE if secrets.compare_digest(given.encode(), secret.encode()) else None

    app = web.Application(middlewares=[problems])
    app[CHECK_CLIENT] = check
    mount(app, administration)
    sessions.add_routes(app)
    return app


async def administration(stack: AsyncExitStack, dsn: str, keys: Path, kafka: Connection | None) -> Administration:
    """Closed with the stack. Without `kafka` events are only written: a running gateway publishes them."""
    rings = Keyrings.load(keys, OWN_KEYS)
    pool = await connect(dsn, "command", 4)
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
        outbox=_outbox(stack, pool, kafka) if kafka is not None else None,
    )


def kafka_of_environment() -> Connection | None:
    return Connection.of(parsed(KafkaSettings)) if "GATEPOST_KAFKA" in os.environ else None


def _outbox(stack: AsyncExitStack, pool: "asyncpg.Pool[asyncpg.Record]", kafka: Connection) -> Outbox:
    producer = Producer(kafka, "gateway-command")
    outbox = Outbox(pool, producer)
    stack.push_async_callback(producer.stop)
    stack.push_async_callback(outbox.drain)
    return outbox
