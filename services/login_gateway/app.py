"""Builds the gateway: its collaborators, its application, and what runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import aiohttp
import asyncpg
import structlog
from aiohttp import web

from services.login_gateway import pages
from services.login_gateway.administration import Administration
from services.login_gateway.closing import close_for_ever
from services.login_gateway.feed_topic import FedLogins, take_turns
from services.login_gateway.house import HOUSE, House
from services.login_gateway.limits import DAY, Names
from services.login_gateway.outcomes import follow_outcomes
from services.login_gateway.pages import account
from services.login_gateway.pages.account.desk import Desk
from services.login_gateway.pages.parts import Parts, Sessions
from services.login_gateway.pages.visit import Visits
from services.login_gateway.passwords import Passwords
from services.login_gateway.ports import Rule
from services.login_gateway.postgres.brands import PostgresBrands
from services.login_gateway.postgres.chores import chores
from services.login_gateway.postgres.counters import PostgresCounters
from services.login_gateway.postgres.feed_calls import PostgresFeedCalls
from services.login_gateway.postgres.feed_road import PostgresFeedRoad
from services.login_gateway.postgres.feeds import PostgresFeeds
from services.login_gateway.postgres.logins import PostgresLogins, PostgresRepetitions
from services.login_gateway.postgres.sign_in import PostgresUsers
from services.login_gateway.postgres.upkeep import PostgresUpkeep
from services.login_gateway.routes import administration, feed, logins, sessions
from services.login_gateway.routes.described import DOCUMENT
from services.login_gateway.second_road import SessionStore
from services.login_gateway.session_calls import SessionCalls
from services.login_gateway.settings import GatewaySettings
from services.platform import auth, clients, http, metrics, migrate, outbox
from services.platform.clock import SystemClock
from services.platform.dead_letters import DeadLetters
from services.platform.housekeeping import Housekeeping
from services.platform.introspection import Introspection
from services.platform.kafka import Connection, Producer
from services.platform.keys.codes import Codes, roll_daily
from services.platform.keys.contacts import Contacts
from services.platform.keys.deadletters import DeadLetterSeal
from services.platform.keys.files import purposes_of
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Keyrings, Ring
from services.platform.keys.tokens import Handles, Mint, SessionTokens
from services.platform.metering import Measure
from services.platform.outbox import Outbox
from services.platform.postgres import connect_when_up
from services.platform.topics import tell_lacks
from services.platform.tracing import TRACES
from services.platform.ui.docs import pages as docs
from services.platform.ui.forgery import FormTokens
from services.platform.work import ended, or_stop

log = structlog.get_logger()
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Ground(NamedTuple):
    """What is connected: feeds have connections of their own, so that nobody who signs in waits for one."""

    pool: Pool
    feeds: Pool
    outbox: Outbox


@asynccontextmanager
async def built(settings: GatewaySettings) -> AsyncIterator[web.Application]:
    """The gateway, connected, with its sweepers and followers running until the context ends."""
    rings = Keyrings.load(settings.keys, purposes_of("gateway"))
    connection = Connection.of(settings)
    dsn = settings.database.get_secret_value()
    pool = await connect_when_up(dsn, "gateway", settings.database_pool)
    feeds = await connect_when_up(dsn, "gateway-feed", settings.feed_database_pool)
    producer = Producer(connection, "gatepost-gateway")
    async with aiohttp.ClientSession() as session:
        store = _store(settings, session)
        ground = Ground(pool, feeds, Outbox(pool, producer, store.take if store else None))
        house = _house(settings, rings, ground)
        road = PostgresFeedRoad(feeds, _feeding(house, feeds))
        letters = DeadLetters(DeadLetterSeal(rings.secret("dead-letters.pub")), producer, "gateway")
        work = (
            or_stop("outbox", ground.outbox.run()),
            or_stop("closing", close_for_ever(house)),
            or_stop("chores", Housekeeping(pool, chores(settings, house.clock)).run()),
            or_stop("outcomes", follow_outcomes(house.logins, connection, letters)),
            or_stop("feed", FedLogins(road, connection, letters).run()),
            or_stop("feed-turns", take_turns(road)),
            or_stop("code-key", roll_daily(house.codes, house.clock)),
        )
        tasks = [asyncio.create_task(each) for each in (*work, tell_lacks(connection, "gateway"))]
        try:
            yield build_app(house, ground, rings, store, _session_calls(settings, session))
        finally:
            await ended(tasks)
            await ground.outbox.drain()
            house.passwords.close()
            await producer.stop()
            await feeds.close()
            await pool.close()


def build_app(
    house: House, ground: Ground, rings: Keyrings, store: Sessions | None = None, calls: SessionCalls | None = None
) -> web.Application:
    """Wire the routes to what they work with."""
    pool = ground.pool

    async def ready() -> dict[str, Any]:
        """Ready with Kafka down, not with Postgres down."""
        async with asyncio.timeout(5), pool.acquire() as connection:
            standing = await outbox.standing(connection)
            migrations = await migrate.missing(connection, "gateway")
        return {"keys": rings.report(), "outbox": standing, "migrations": migrations}

    app = http.base_app("gateway", ready, DOCUMENT, *((logins.linked,) if TRACES.on else ()))
    app[http.MEASURE] = Measure(metrics.CLOSED, metrics.DATABASE_UP, lambda: outbox.measure(pool))
    app[HOUSE] = house
    directory = clients.ClientDirectory(pool)
    app[auth.CHECK_CLIENT] = directory.check
    introspection = Introspection(house.settings)
    app[auth.INTROSPECT] = _from_own_tables(PostgresUsers(pool), introspection)
    app.on_cleanup.append(introspection.close)
    logins.add_routes(app)
    sessions.add_routes(app)
    feeding = _feeding(house, ground.feeds)
    feed.add_routes(app, feed.Feeding.of(feeding, PostgresFeedCalls(ground.feeds, feeding)))
    admin, web_keys = _administration(house, ground, directory), rings.secret("web")
    administration.mount(app, admin)
    docs.add_routes(app)
    pages.mount(app, _parts(house, pool, web_keys, store))
    account.mount(app, house, Desk(house, admin, Contacts(web_keys), calls))
    return app


def _parts(house: House, pool: Pool, web_keys: Ring, store: Sessions | None) -> Parts:
    visits = Visits(Contacts(web_keys), house.clock)
    return Parts(house, visits, FormTokens(web_keys), PostgresBrands(pool), store)


def _administration(house: House, ground: Ground, directory: clients.ClientDirectory) -> Administration:
    limits = house.settings
    return Administration(
        pool=ground.pool,
        signer=house.signer,
        contacts=house.contacts,
        search=house.search,
        passwords=house.passwords,
        clock=house.clock,
        outbox=ground.outbox,
        notices=(Rule(limits.sends_per_hour, 3600), Rule(limits.sends_per_day, DAY)),
        forget_client=directory.forget,
    )


def _store(settings: GatewaySettings, session: aiohttp.ClientSession) -> SessionStore | None:
    pair = settings.client_pair()
    if settings.session_store_url is None or pair is None:
        log.warning("no_second_road", needs=["GATEPOST_SESSION_STORE_URL", "GATEPOST_CLIENT_FILE"])
        return None
    return SessionStore(session, settings.session_store_url, pair)


def _session_calls(settings: GatewaySettings, session: aiohttp.ClientSession) -> SessionCalls | None:
    return SessionCalls(session, settings.session_store_url) if settings.session_store_url is not None else None


def _feeding(house: House, pool: Pool) -> House:
    """The same house, asking for what a feed needs on connections of its own."""
    return replace(
        house,
        users=PostgresUsers(pool),
        counters=PostgresCounters(pool),
        logins=PostgresLogins(pool),
        feeds=PostgresFeeds(pool),
    )


def _house(settings: GatewaySettings, rings: Keyrings, ground: Ground) -> House:
    pool = ground.pool
    return House(
        settings=settings,
        users=PostgresUsers(pool),
        counters=PostgresCounters(pool),
        logins=PostgresLogins(pool),
        repetitions=PostgresRepetitions(pool),
        feeds=PostgresFeeds(pool),
        upkeep=PostgresUpkeep(pool),
        outbox=ground.outbox,
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


def _from_own_tables(users: PostgresUsers, introspection: Introspection) -> auth.Introspect:
    """User, account and role come from our own tables, and only liveness from the store."""

    async def introspect(token: str) -> auth.User | None:
        said = await introspection.user(token)
        if said is None:
            return None
        row = await users.standing(said.user_id)
        return said._replace(account_id=str(row["account_id"]), role=row["role"]) if row is not None else None

    return introspect
