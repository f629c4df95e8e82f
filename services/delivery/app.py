"""The event-driven edge: Faust takes batches, `ingest` writes them down. Nothing else happens here.

What was measured about faust-streaming 0.15.3 decides every setting: a decode error or an exception in an agent would
crash it or acknowledge the message, so bytes stay raw and `ingest` never raises for a record; `concurrency=1`, because
commits are only safe in order; no web server, no leader topics, no tables.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, Final

import faust
import mode
import structlog
from faust.transport.drivers import aiokafka

from schemas import topics
from services.delivery.ingest import Ingest
from services.delivery.intake import Record
from services.delivery.settings import DeliverySettings
from services.delivery.watchdog import Agents, Place, Seen
from services.platform import kafka_batches

log = structlog.get_logger()

Write = Callable[[Sequence[Record]], Awaitable[object]]

MOST: Final = 200
AT_ONCE: Final = 0.005
SOON: Final = 0.05
SAFE_FAUST: Final[dict[str, Any]] = {
    "web_enabled": False,
    "topic_disable_leader": True,
    "topic_allow_declare": False,
    "reply_create_topic": False,
    "store": "memory://",
    "processing_guarantee": "at_least_once",
    "consumer_auto_offset_reset": "earliest",
    "autodiscover": False,
    "broker_session_timeout": 10.0,
    "broker_heartbeat_interval": 2.0,
    "broker_commit_interval": 1.0,
}


async def batches(stream: Any, apart: float) -> AsyncIterator[Sequence[Record]]:
    """Raw records as they come, up to 200 at once; acknowledged once the next batch is asked for.

    The first is not kept waiting; the next batch begins `apart` seconds later at the earliest, and takes what came.
    """
    stream.enable_acks = False  # by the stream itself: it would acknowledge what only waits here
    waiting: asyncio.Queue[Any] = asyncio.Queue(MOST)
    pump = asyncio.create_task(_pump(stream, waiting))
    try:
        while (first := await waiting.get()) is not None:
            since = time.monotonic()
            events = [first, *_come(waiting)]
            yield [event.message for event in events]
            for event in events:
                await stream.ack(event)
            await asyncio.sleep(max(0.0, apart - (time.monotonic() - since)))
        await pump
    finally:
        pump.cancel()


async def _pump(stream: Any, waiting: asyncio.Queue[Any]) -> None:
    """Until the stream ends or breaks; None says so."""
    try:
        async for event in stream.events():
            await waiting.put(event)
            for more in _fetched(stream):
                await waiting.put(more)
    except Exception:
        await waiting.put(None)
        raise
    await waiting.put(None)


def _fetched(stream: Any) -> Iterator[Any]:
    """What Faust has fetched for the stream already, taken as its own iteration does. That one lets the loop go round
    once for each event: in a worker with much to do it was the slowest of all.
    """
    faust_app, queue = stream.app, stream.channel.queue
    while not queue.empty():
        event = queue.get_nowait()
        message = event.message
        if not faust_app.flow_control.is_active() or message.generation_id != faust_app.consumer_generation_id:
            continue  # of an assignment that is over: it comes again
        if not message.tracked:
            message.tracked = True
            faust_app.consumer.track_message(message)
        yield event


def _come(waiting: asyncio.Queue[Any]) -> Iterator[Any]:
    """What is there already. The end stays for the next look."""
    while not waiting.empty():
        if (event := waiting.get_nowait()) is None:
            waiting.put_nowait(None)
            return
        yield event


def build_app(settings: DeliverySettings, ingest: Ingest, datadir: str, agents: Agents) -> Any:
    app = faust.App(
        "delivery",
        broker=[f"aiokafka://{server.strip()}" for server in settings.kafka.split(",")],
        broker_credentials=_credentials(settings),
        consumer_group_instance_id=settings.member_id,
        datadir=datadir,
        **SAFE_FAUST,
    )
    app.transport.Consumer = Consumer
    kafka_batches.survive()
    # Under load, batches of what a person waits for are small and soon, all others are few.
    _agent(app, agents, topics.LOGIN_CHALLENGES.name, ingest.challenges, AT_ONCE)
    _agent(app, agents, topics.EMAIL_FALLBACKS.name, ingest.emails)
    _agent(app, agents, topics.SESSION_EVENTS.name, ingest.sessions)
    _agent(app, agents, topics.LOGIN_OUTCOMES.name, ingest.outcomes)
    _agent(app, agents, topics.DEAD_LETTERS.name, ingest.dead_letters)
    return app


class Consumer(aiokafka.Consumer):  # type: ignore[misc]
    """Faust's own makes four tasks for each message, so that it can stop while it hands one over, and waits some rounds
    of the loop for them. Handing over takes none, unless the agent's queue is full: then it ends when there is room.
    """

    async def wait_first(self, *waits: Any, timeout: float | None = None) -> Any:
        if timeout is not None or self.suspend_flow.is_set():
            return await super().wait_first(*waits, timeout=timeout)
        message, suspended = waits
        suspended.close()
        return await message


def _agent(app: Any, agents: Agents, topic: str, write: Write, apart: float = SOON) -> None:
    raw = app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def take(stream: Any) -> None:
        async for batch in batches(stream, apart):
            with agents.busy(topic):
                await _until_written(batch, write)

    app.agent(raw, name=topic, concurrency=1)(take)


async def _until_written(batch: Sequence[Record], write: Write) -> None:
    """An exception that left the agent would acknowledge the batch: it stays here until the batch is written."""
    while True:
        try:
            await write(batch)
            return
        except Exception as error:
            log.error("batch_not_written", topic=batch[0].topic, records=len(batch), exc_info=error)
            await asyncio.sleep(1.0)


def seen(app: Any) -> Seen:
    """What Faust's consumer knows; its thread keeps these figures, reading them waits for nobody."""
    consumer = app.consumer._thread._consumer if app.consumer is not None else None
    subscription = consumer._subscription.subscription if consumer is not None else None
    assignment = subscription.assignment if subscription is not None else None
    if assignment is None:
        return Seen({}, None)
    states = {tp: assignment.state_value(tp) for tp in assignment.tps}
    places = {
        (tp.topic, tp.partition): Place(state.highwater, state.position)
        for tp, state in states.items()
        if state.has_valid_position and state.highwater is not None
    }
    newest = max((state.timestamp for state in states.values() if state.timestamp), default=None)
    return Seen(places, None if newest is None else time.time() - newest / 1000)


def _credentials(settings: DeliverySettings) -> Any:
    if settings.kafka_security == "PLAINTEXT":
        return None
    context = settings.kafka_tls()
    if settings.kafka_security == "SSL":
        return faust.SSLCredentials(context)
    password = settings.kafka_password.get_secret_value() if settings.kafka_password else None
    return faust.SASLCredentials(
        username=settings.kafka_username, password=password, ssl_context=context, mechanism="SCRAM-SHA-512"
    )


class Beside(mode.Service):  # type: ignore[misc]
    """What runs beside Faust in the same loop: it starts first, stops last, and a crash of it ends the worker."""

    def __init__(
        self,
        start: Callable[[], Awaitable[Sequence[Coroutine[Any, Any, None]]]],
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__()
        self._begin, self._end = start, stop

    async def on_start(self) -> None:
        for work in await self._begin():
            self.add_future(work)

    async def on_stop(self) -> None:
        await self._end()
