"""aiokafka with the settings that lose and double nothing."""

import asyncio
import math
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CorruptRecordException,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from services.platform import kafka_batches, metrics
from services.platform.settings import KafkaSettings

log = structlog.get_logger()

Headers = Sequence[tuple[str, bytes]]
LARGEST: Final = 2 * 1024 * 1024 + 64 * 1024
# For who need not be quick: the broker answers four times a second at most, unless there is much.
IN_BATCHES: Final[dict[str, Any]] = {"fetch_min_bytes": 64 * 1024, "fetch_max_wait_ms": 250}
OF_THE_ROW: Final = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    CorruptRecordException,
    InvalidTimestampError,
)


class BrokerAway(Exception):
    """Kafka did not take the record; it may have arrived all the same."""


class Refused(Exception):
    """Kafka will never take this record: the text is the reason's name."""


class Connection(NamedTuple):
    """How to reach the brokers, as keyword arguments for aiokafka."""

    bootstrap: str
    security: str = "PLAINTEXT"
    tls: Callable[[], ssl.SSLContext | None] = lambda: None
    username: str | None = None
    password: str | None = None

    @classmethod
    def of(cls, settings: KafkaSettings) -> "Connection":
        password = settings.kafka_password.get_secret_value() if settings.kafka_password else None
        return cls(settings.kafka, settings.kafka_security, settings.kafka_tls, settings.kafka_username, password)

    def __repr__(self) -> str:
        return f"Connection({self.bootstrap}, {self.security})"

    def options(self) -> dict[str, Any]:
        found: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": self.security}
        if self.security != "PLAINTEXT":
            found["ssl_context"] = self.tls()
        if self.security == "SASL_SSL":
            found |= {"sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": self.username}
            found["sasl_plain_password"] = self.password
        return found


class Producer:
    """An idempotent producer that is thrown away after any send error but our own timeout.

    One record that the broker refuses wedges aiokafka's idempotent producer for its partition until it is replaced.
    """

    def __init__(self, connection: Connection, client_id: str) -> None:
        self._connection = connection
        self._client_id = client_id
        self._current: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def send(self, topic: str, key: bytes, value: bytes, headers: Headers = (), timeout: float = 5.0) -> None:
        """Return once every in-sync replica has the record. Raises `BrokerAway` or `Refused`."""
        deadline = asyncio.get_running_loop().time() + timeout
        producer = self._current or await self._started(timeout)
        try:
            async with asyncio.timeout_at(deadline):
                acked = await producer.send(topic, value, key=key, headers=list(headers))
                await asyncio.shield(acked)
        except TimeoutError:
            raise BrokerAway("timeout") from None
        except (KafkaError, RuntimeError) as error:
            self._replace(producer)
            if isinstance(error, OF_THE_ROW):
                raise Refused(type(error).__name__) from None
            raise BrokerAway(type(error).__name__) from None

    async def stop(self, timeout: float = 5.0) -> None:
        if self._current is not None:
            await _stop(self._current, timeout)
            self._current = None

    async def _started(self, timeout: float) -> AIOKafkaProducer:
        try:
            async with asyncio.timeout(timeout), self._starting:
                if self._current is None:
                    self._current = await self._start()
                return self._current
        except (TimeoutError, KafkaError, OSError) as error:
            raise BrokerAway(type(error).__name__) from None

    async def _start(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_request_size=LARGEST,
            request_timeout_ms=10_000,
            retry_backoff_ms=100,
            **self._connection.options(),
        )
        try:
            await producer.start()
        except BaseException:
            _forget(producer)
            raise
        return producer

    def _replace(self, producer: AIOKafkaProducer) -> None:
        if self._current is producer:
            self._current = None
            log.warning("producer_replaced")
            _forget(producer)


_closing: set[asyncio.Task[None]] = set()


def _forget(producer: AIOKafkaProducer) -> None:
    task = asyncio.get_running_loop().create_task(_stop(producer, 10))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


async def _stop(client: Any, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            await client.stop()
    except (KafkaError, TimeoutError, OSError, RuntimeError) as error:
        log.info("kafka_client_stop", error=type(error).__name__)


def group_consumer(connection: Connection, group: str, client_id: str, **more: Any) -> AIOKafkaConsumer:
    """A consumer of a group whose offsets its own code keeps: nothing is committed by itself."""
    settings: dict[str, Any] = {
        "auto_offset_reset": "none",
        "session_timeout_ms": 10_000,
        "heartbeat_interval_ms": 2_000,
        "max_partition_fetch_bytes": LARGEST,
    }
    settings |= more
    kafka_batches.survive()
    return AIOKafkaConsumer(
        group_id=group, client_id=client_id, enable_auto_commit=False, **settings, **connection.options()
    )


def follower(connection: Connection, client_id: str, **more: Any) -> AIOKafkaConsumer:
    """A consumer without a group: it is assigned its partitions and sought by its own code."""
    settings: dict[str, Any] = {"auto_offset_reset": "none", "max_partition_fetch_bytes": LARGEST} | more
    kafka_batches.survive()
    return AIOKafkaConsumer(
        group_id=None, client_id=client_id, enable_auto_commit=False, **settings, **connection.options()
    )


async def cluster_id(connection: Connection) -> str:
    """The cluster's own id: offsets mean something only within one. Raises `KafkaError` when no broker answers."""
    admin = AIOKafkaAdminClient(request_timeout_ms=5_000, **connection.options())
    await admin.start()
    try:
        return str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()


async def stop(client: Any, timeout: float = 5.0) -> None:
    """Stop a consumer or producer without waiting for ever on a broker that is gone."""
    await _stop(client, timeout)


def followed(consumer: Any) -> list[Any]:
    """The fetcher's own record of each partition that it follows."""
    assignment = consumer._subscription.subscription.assignment
    return [assignment.state_value(partition) for partition in consumer.assignment()]


def tell_lag(consumer: Any, topic: str, name: str) -> None:
    """From now on a scrape asks this consumer how many records of the topic it has not given yet."""
    metrics.KAFKA_LAG.labels(topic, name).set_function(lambda: _lag(consumer))


def _lag(consumer: Any) -> float:
    """Looks at what the fetcher keeps: asks nobody. No number without a partition that was heard of."""
    if consumer._closed:
        return math.nan
    try:
        states = [state for state in followed(consumer) if state.has_valid_position and state.highwater is not None]
    except AttributeError:  # no subscription yet, or none any more
        return math.nan
    return float(sum(max(0, state.highwater - state.position) for state in states)) if states else math.nan


async def partitions_of(consumer: Any, topic: str) -> set[int]:
    """Raises `KafkaError` where there is no such topic."""
    found: set[int] = consumer.partitions_for_topic(topic) or set()
    if not found:
        await consumer._client.force_metadata_update()
        found = consumer.partitions_for_topic(topic) or set()
    if not found:
        raise KafkaError(f"the topic {topic} does not exist; run `gatepost topics create`")
    return found
