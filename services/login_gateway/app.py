"""Builds the gateway: its collaborators, its application, and what runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import structlog
from aiohttp import web

from services.login_gateway.administration import Administration
from services.login_gateway.closing import close_for_ever
from services.login_gateway.house import HOUSE, House
from services.login_gateway.limits import DAY, Names, Rule
from services.login_gateway.openapi import DOCUMENT
from services.login_gateway.passwords import Passwords
from services.login_gateway.postgres.logins import Logins
from services.login_gateway.routes import administration, feed, logins, sessions
from services.login_gateway.second_road import SessionStore
from services.login_gateway.settings import GatewaySettings
from services.login_gateway.status import follow_outcomes
from services.platform import auth, clients, http
from services.platform.clock import SystemClock
from services.platform.dead_letters import DeadLetters
from services.platform.introspection import Introspection
from services.platform.kafka import Connection, Producer
from services.platform.keys.codes import Codes, roll_daily
from services.platform.keys.contacts import Contacts
from services.platform.keys.deadletters import DeadLetterSeal
from services.platform.keys.files import purposes_of
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import Handles, Mint, SessionTokens
from services.platform.outbox import Outbox
from services.platform.postgres import connect_when_up
from services.platform.work import or_stop

log = structlog.get_logger()


@asynccontextmanager
async def built(settings: GatewaySettings) -> AsyncIterator[web.Application]:
    """The gateway, connected, with its sweepers and followers running until the context ends."""
    rings = Keyrings.load(settings.keys, purposes_of("gateway"))
    connection = Connection.of(settings)
    pool = await connect_when_up(settings.database.get_secret_value(), "gateway", settings.database_pool)
    producer = Producer(connection, "gatepost-gateway")
    async with aiohttp.ClientSession() as session:
        store = _store(settings, session)
        house = _house(settings, rings, pool, Outbox(pool, producer, store.take if store else None))
        letters = DeadLetters(DeadLetterSeal(rings.secret("dead-letters.pub")), producer, "gateway")
        work = (
            or_stop("outbox", house.outbox.run()),
            or_stop("closing", close_for_ever(house)),
            or_stop("outcomes", follow_outcomes(house, connection, letters)),
            or_stop("code-key", roll_daily(house.codes, house.clock)),
        )
        tasks = [asyncio.create_task(each) for each in work]
        try:
            yield build_app(house, rings)
        finally:
            await _end(tasks)
            await house.outbox.drain()
            house.passwords.close()
            await producer.stop()
            await pool.close()


def build_app(house: House, rings: Keyrings) -> web.Application:
    """Wire the routes to what they work with."""

    async def ready() -> dict[str, Any]:
        """Ready with Kafka down, not with Postgres down."""
        await house.pool.fetchval("SELECT true", timeout=2)
        return {"keys": rings.report()}

    app = http.base_app("gateway", ready, DOCUMENT)
    app[HOUSE] = house
    directory = clients.ClientDirectory(house.pool)
    app[auth.CHECK_CLIENT] = directory.check
    introspection = Introspection(house.settings)
    app[auth.INTROSPECT] = _from_own_tables(house, introspection)
    app.on_cleanup.append(introspection.close)
    logins.add_routes(app)
    sessions.add_routes(app)
    feed.add_routes(app)
    administration.mount(app, _administration(house, directory))
    return app


def _administration(house: House, directory: clients.ClientDirectory) -> Administration:
    limits = house.settings
    return Administration(
        pool=house.pool,
        signer=house.signer,
        contacts=house.contacts,
        search=house.search,
        passwords=house.passwords,
        clock=house.clock,
        outbox=house.outbox,
        notices=(Rule(limits.sends_per_hour, 3600), Rule(limits.sends_per_day, DAY)),
        forget_client=directory.forget,
    )


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _store(settings: GatewaySettings, session: aiohttp.ClientSession) -> SessionStore | None:
    pair = settings.client_pair()
    if settings.session_store_url is None or pair is None:
        log.warning("no_second_road", needs=["GATEPOST_SESSION_STORE_URL", "GATEPOST_CLIENT_FILE"])
        return None
    return SessionStore(session, settings.session_store_url, pair)


def _house(settings: GatewaySettings, rings: Keyrings, pool: asyncpg.Pool[asyncpg.Record], outbox: Outbox) -> House:
    return House(
        settings=settings,
        pool=pool,
        logins=Logins(pool),
        outbox=outbox,
        passwords=Passwords(settings.password_threads),
        clock=SystemClock(),
        codes=Codes(rings.secret("code")),
        contacts=Contacts(rings.secret("contacts")),
        search=rings.secret("search"),
        names=Names(rings.secret("search")),
        handles=Handles(rings.secret("login")),
        tokens=SessionTokens(rings.secret("session")),
        mint=Mint(rings.secret("mint")),
        signer=Signer(rings.secret("grants")),
    )


def _from_own_tables(house: House, introspection: Introspection) -> auth.Introspect:
    """User, account and role come from our own tables, and only liveness from the store (DESIGN 2.3)."""

    async def introspect(token: str) -> auth.User | None:
        said = await introspection.user(token)
        if said is None:
            return None
        query = "SELECT account_id, role FROM users WHERE user_id = $1::text::uuid AND NOT disabled"
        row = await house.pool.fetchrow(query, said.user_id)
        return said._replace(account_id=str(row["account_id"]), role=row["role"]) if row is not None else None

    return introspect
