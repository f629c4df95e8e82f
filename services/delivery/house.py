"""Builds everything that delivery is made of; nothing else builds anything."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import structlog
from aiohttp import web

from schemas import topics
from services.delivery.channels.webhooks.judging import Loaded
from services.delivery.compose import Secrets
from services.delivery.dead_letters import Taker
from services.delivery.figures import Adder, Charts
from services.delivery.gate import Gate
from services.delivery.gatekeeper import Gatekeeper
from services.delivery.health import Checkup, lag_of
from services.delivery.ingest import Ingest
from services.delivery.messages import judging
from services.delivery.messages.library import Library
from services.delivery.messages.words import Words
from services.delivery.operations import site as operations
from services.delivery.postgres.chores import chores
from services.delivery.postgres.controls import PostgresControls
from services.delivery.postgres.guard import PostgresGuard
from services.delivery.postgres.guarding import PostgresGuarding
from services.delivery.postgres.health import PostgresVitals
from services.delivery.postgres.instance import InstanceLock
from services.delivery.postgres.intake import PostgresIntake
from services.delivery.postgres.ledger import PostgresLedger
from services.delivery.postgres.letters import PostgresLetters
from services.delivery.postgres.minutes import PostgresMinutes
from services.delivery.postgres.others import others_answer
from services.delivery.postgres.reading import PostgresReading
from services.delivery.postgres.replays import PostgresReplays
from services.delivery.postgres.wordings import PostgresWordings
from services.delivery.providers import channels_of, readers_of, webhooks_of
from services.delivery.replay import Limits
from services.delivery.replaying import Replayer
from services.delivery.routes import api
from services.delivery.routes.parts import Parts
from services.delivery.routing import Routing
from services.delivery.send import Sender
from services.delivery.settings import DeliverySettings
from services.delivery.tail import Tail
from services.delivery.unreached import Headcount
from services.delivery.watchdog import Agents, Pulse, Seen, Watch, end_worker, keep_watch
from services.platform import clients, metrics
from services.platform.clock import SystemClock
from services.platform.dead_letters import DeadLetters
from services.platform.housekeeping import Housekeeping
from services.platform.kafka import Connection, Producer
from services.platform.keys.codes import Codes, roll_daily
from services.platform.keys.contacts import Contacts
from services.platform.keys.deadletters import DeadLetterOpener, DeadLetterSeal
from services.platform.keys.grants import Verifier
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import ReceiptTokens
from services.platform.outbox import Outbox
from services.platform.postgres import AWAY, connect_when_up
from services.platform.serving import Serving
from services.platform.topics import tell_lacks

log = structlog.get_logger()

RINGS = ("code", "contacts", "search", "receipts", "grants.pub", "dead-letters", "dead-letters.pub")
REFRESH_SECONDS = 2.0


@dataclass(slots=True)
class House:
    """Delivery, built. `start` gives what has to run until `stop`."""

    settings: DeliverySettings
    pool: asyncpg.Pool[asyncpg.Record]
    lock: InstanceLock
    producer: Producer
    outbox: Outbox
    sender: Sender
    replayer: Replayer
    ingest: Ingest
    routing: Routing
    controls: PostgresControls
    words: Words
    wordings: PostgresWordings
    gatekeeper: Gatekeeper
    housekeeping: Housekeeping
    directory: clients.ClientDirectory
    dead_letters: DeadLetters
    verifier: Verifier
    codes: Codes
    site: web.Application
    checkup: Checkup
    serving: Serving | None = None

    async def start(self, agents: Agents, seen: Callable[[], Seen]) -> Sequence[Coroutine[Any, Any, None]]:
        await self.controls.add_providers(self.routing.names())
        await self.refresh()
        self.checkup.seen = seen
        _tell_lag(seen)
        self.serving = Serving(self.site, self.settings)
        await self.serving.start()
        connection = Connection.of(self.settings)
        follow = clients.follow(self.directory, connection, self.verifier, self.dead_letters, "delivery")
        rolling = roll_daily(self.codes, SystemClock())
        watching = self._watch(agents, seen)
        working = [self.sender.run(), self.outbox.run(), self.replayer.run(), self.housekeeping.run()]
        adding = Adder(PostgresMinutes(self.pool)).run()
        lacks = tell_lacks(connection, "delivery")
        return [*working, lacks, adding, follow, rolling, self._keep_fresh(), self.lock.keep(), watching]

    async def _watch(self, agents: Agents, seen: Callable[[], Seen]) -> None:
        pulse = Pulse(end_worker)
        pulse.start()
        watch = Watch(agents, time.monotonic())
        await keep_watch(watch, seen, partial(others_answer, self.settings), end_worker, pulse.beat)

    def leave(self) -> None:
        """As soon as the end is known: who comes by HTTP goes elsewhere while Faust finishes."""
        if self.serving is not None:
            self.serving.leave()

    async def stop(self) -> None:
        if self.serving is not None:
            await self.serving.stop()
        await self.sender.stop()
        with suppress(*AWAY):
            await self.gatekeeper.write()
        await self.outbox.drain()
        await self.routing.close()
        await self.producer.stop()
        await self.lock.release()
        await self.pool.close()

    async def refresh(self) -> None:
        controls = self.controls
        paused = await controls.paused()
        self.routing.update(await controls.providers(), await controls.routes(), paused)
        await controls.release_missed(paused)
        self.words.update(await self.wordings.changes())
        await self.gatekeeper.refresh()

    async def _keep_fresh(self) -> None:
        """What operators changed reaches every worker within two seconds."""
        while True:
            try:
                await self.refresh()
            except AWAY as away:
                log.warning("changes_not_read", error=type(away).__name__)
            await asyncio.sleep(REFRESH_SECONDS)


async def build(settings: DeliverySettings) -> House:
    """Raises `InstanceTaken`, `KeyringError`, `BadTemplates`, `BadWebhooks`; waits for a database that is not up."""
    library = judging.load(settings.templates, settings.bound_host, settings.locale)
    webhooks = webhooks_of(settings)
    rings = Keyrings.load(settings.keys, RINGS)
    dsn = settings.database.get_secret_value()
    lock = InstanceLock(dsn, settings.member_id)
    await lock.take()
    pool = await connect_when_up(dsn, "delivery", settings.database_pool)
    return _wired(settings, rings, library, webhooks, lock, pool)


def _wired(
    settings: DeliverySettings,
    rings: Keyrings,
    library: Library,
    webhooks: Sequence[Loaded],
    lock: InstanceLock,
    pool: asyncpg.Pool[asyncpg.Record],
) -> House:
    clock, producer = SystemClock(), Producer(Connection.of(settings), "gatepost-delivery")
    secrets, outbox = _secrets(settings, rings, library), Outbox(pool, producer)
    ledger, routing = PostgresLedger(pool, outbox), _routing(settings, webhooks, clock)
    gatekeeper, verifier = _gatekeeper(settings, pool, secrets.contacts), Verifier(rings.secret("grants.pub"))
    sender = Sender(ledger, routing, secrets, gatekeeper.gate, clock, settings.slots)
    dead_letters = DeadLetters(DeadLetterSeal(rings.secret("dead-letters.pub")), producer, "delivery")
    ingest = Ingest(PostgresIntake(pool, settings.guard_window), sender, secrets, verifier, dead_letters, clock)
    built = {"ledger": ledger, "routing": routing, "sender": sender, "secrets": secrets, "gate": gatekeeper.gate}
    taker = Taker(DeadLetterOpener(rings.secret("dead-letters")), ingest, producer.send)
    parts = _parts(settings, rings, pool, readers=readers_of(settings, webhooks), clock=clock, taker=taker, **built)
    return House(
        settings=settings,
        pool=pool,
        lock=lock,
        producer=producer,
        outbox=outbox,
        sender=sender,
        replayer=parts.replayer,
        ingest=ingest,
        routing=routing,
        controls=parts.controls,
        words=secrets.words,
        wordings=parts.wordings,
        gatekeeper=gatekeeper,
        housekeeping=Housekeeping(pool, chores(settings)),
        directory=parts.directory,
        dead_letters=dead_letters,
        verifier=verifier,
        codes=secrets.codes,
        site=operations.add_to(api.build(parts)),
        checkup=parts.checkup,
    )


def _tell_lag(seen: Callable[[], Seen]) -> None:
    """From now on a scrape asks Faust's consumer. `clients` is followed by another."""
    taken = [topic.name for topic in topics.TOPICS if "delivery" in topic.consumers and topic is not topics.CLIENTS]
    for topic in taken:
        metrics.KAFKA_LAG.labels(topic, "delivery").set_function(partial(_lag, seen, topic))


def _lag(seen: Callable[[], Seen], topic: str) -> float:
    return lag_of(seen(), topic)


def _secrets(settings: DeliverySettings, rings: Keyrings, library: Library) -> Secrets:
    contacts, codes = Contacts(rings.secret("contacts")), Codes(rings.secret("code"))
    words, tokens = Words(library, settings.bound_host), ReceiptTokens(rings.secret("receipts"))
    return Secrets(contacts, codes, rings.secret("search"), words, tokens)


def _parts(settings: DeliverySettings, rings: Keyrings, pool: asyncpg.Pool[asyncpg.Record], **more: Any) -> Parts:
    limits = Limits(settings.sends_per_hour, settings.sends_per_day)
    replays = PostgresReplays(pool, limits)
    reading = PostgresReading(pool)
    routing: Routing = more["routing"]
    clock: SystemClock = more["clock"]
    return Parts(
        settings=settings,
        pool=pool,
        reading=reading,
        tail=Tail(reading, clock.monotonic),
        checkup=Checkup(PostgresVitals(pool), routing.lanes, clock),
        charts=Charts(PostgresMinutes(pool), clock.monotonic),
        headcount=Headcount(reading, clock),
        controls=PostgresControls(pool),
        replays=replays,
        replayer=Replayer(replays, more["sender"].wake),
        limits=limits,
        letters=PostgresLetters(pool),
        wordings=PostgresWordings(pool),
        guarding=PostgresGuarding(pool, settings.guard_window),
        directory=clients.ClientDirectory(pool),
        keys=rings.report,
        **more,
    )


def _gatekeeper(settings: DeliverySettings, pool: asyncpg.Pool[asyncpg.Record], contacts: Contacts) -> Gatekeeper:
    counters = PostgresGuard(pool, settings.guard_window)
    gate = Gate(counters, contacts, settings.guard_rules(), settings.guard_prices)
    return Gatekeeper(gate, counters, PostgresGuarding(pool, settings.guard_window))


def _routing(settings: DeliverySettings, webhooks: Sequence[Loaded], clock: SystemClock) -> Routing:
    channels = channels_of(settings, webhooks)
    return Routing(channels, clock.monotonic, settings.slots, random.Random())  # noqa: S311 - no secret
