"""Builds the session store, with its writer and reader beside the routes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from aiohttp import web

from services.platform import auth, clients, http, metrics, migrate, outbox
from services.platform.cookies import session_cookie
from services.platform.dead_letters import DeadLetters
from services.platform.housekeeping import Housekeeping
from services.platform.kafka import Connection, Producer
from services.platform.keys.deadletters import DeadLetterSeal
from services.platform.keys.files import purposes_of
from services.platform.keys.grants import Verifier
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import SessionTokens
from services.platform.metering import Measure
from services.platform.outbox import Outbox
from services.platform.postgres import AWAY, connect_when_up
from services.platform.topics import tell_lacks
from services.platform.ui import pages
from services.platform.ui.docs import pages as docs
from services.platform.work import ended, or_stop
from services.session_store.clock import DatabaseClock
from services.session_store.neighbours import Neighbours
from services.session_store.purge import chores
from services.session_store.reader import Reader
from services.session_store.routes import check, sessions
from services.session_store.routes.described import DOCUMENT
from services.session_store.settings import SessionStoreSettings
from services.session_store.store import STORE, Store
from services.session_store.writer import Writer

log = structlog.get_logger()

NAME: Final = "session-store"


@asynccontextmanager
async def built(settings: SessionStoreSettings) -> AsyncIterator[web.Application]:
    """The session store, connected, with its writer and reader running until the context ends."""
    rings = Keyrings.load(settings.keys, purposes_of(NAME))
    connection, verifier = Connection.of(settings), Verifier(rings.secret("grants.pub"))
    pool = await connect_when_up(settings.database.get_secret_value(), NAME, settings.database_pool)
    clock = DatabaseClock(pool)
    await clock.measure()
    producer = Producer(connection, "gatepost-session-store")
    letters = DeadLetters(DeadLetterSeal(rings.secret("dead-letters.pub")), producer, NAME)
    published, directory = Outbox(pool, producer), clients.ClientDirectory(pool)
    neighbours = Neighbours(settings.database.get_secret_value())
    reader = Reader(pool, clock, connection, verifier, neighbours, settings.cached_sessions)
    writer = Writer(pool, clock, connection, verifier, letters)
    work = (
        or_stop("outbox", published.run()),
        or_stop("clock", clock.keep()),
        or_stop("reader", reader.run()),
        or_stop("neighbours", neighbours.run(reader.learn)),
        or_stop("writer", writer.run()),
        or_stop("memory", reader.keep_small()),
        or_stop("chores", Housekeeping(pool, chores(clock, settings.keep_parked_days)).run()),
        or_stop("clients", clients.follow(directory, connection, verifier, letters, NAME)),
    )
    tasks = [asyncio.create_task(each) for each in (*work, tell_lacks(connection, NAME))]
    tokens, cookie = SessionTokens(rings.secret("session")), session_cookie(settings.cookie_domain)
    store = Store(pool, clock, reader, tokens, verifier, published, settings.issuer, cookie)
    try:
        yield build_app(store, directory, rings, await migrate.missing(pool, NAME))
    finally:
        await ended(tasks)
        await published.drain()
        await producer.stop()
        await pool.close()


def build_app(
    store: Store, directory: clients.ClientDirectory, rings: Keyrings, migrations: Sequence[str] = ()
) -> web.Application:
    """Wire the routes to the store."""

    async def ready() -> dict[str, Any]:
        """Ready while memory or Postgres can answer."""
        current = store.reader.current()
        if not current and not store.reader.away:
            raise http.NotReady("catching up with the topic")
        if not current:
            await _answers(store)
        return {"feed": "current" if current else "behind", "keys": rings.report(), "migrations": migrations}

    app = http.base_app(NAME, ready, DOCUMENT)
    app[http.MEASURE] = Measure(metrics.CLOSED, metrics.DATABASE_UP, lambda: outbox.measure(store.pool))
    app[STORE] = store
    metrics.SESSION_FEED_AGE_SECONDS.set_function(store.reader.age)
    metrics.SESSION_FEED_CURRENT.set_function(store.reader.current)
    app[auth.CHECK_CLIENT] = directory.check
    app[auth.INTROSPECT] = _introspector(store)
    sessions.add_routes(app)
    check.add_routes(app)
    docs.add_routes(app)
    pages.setup(app, "/docs/pages", prefixes=("/docs",))
    return app


async def _answers(store: Store) -> None:
    try:
        await store.pool.fetchval("SELECT true", timeout=2)
    except AWAY:
        raise http.NotReady("neither the feed nor the database can answer") from None


def _introspector(store: Store) -> auth.Introspect:
    async def introspect(token: str) -> auth.User | None:
        alive = await store.alive(token)
        if alive is None or alive.session.aud != "gatepost":
            return None
        session = alive.session
        signed_in = datetime.fromtimestamp(session.auth_time, UTC)
        return auth.User(str(session.user_id), str(session.account_id), session.role, signed_in)

    return introspect
