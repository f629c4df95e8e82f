"""Feed logins by the topic `logins`: signed, each acknowledged by Kafka, read no faster than it takes them.

The other road is `gatepost.feed`, which also verifies and tells what became of a login written here.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from gatepost_client.answers import FedLogin, Refused
from gatepost_client.errors import BadRequest, GatepostError
from gatepost_client.fed_records import TOPIC, Signer
from gatepost_client.flow import each, in_order
from gatepost_client.kafka import translated

log = logging.getLogger("gatepost_client")
STOP_SECONDS: Final = 5.0
USUAL: Final[dict[str, Any]] = {
    "client_id": "gatepost-client",
    "enable_idempotence": True,
    "request_timeout_ms": 10_000,
}


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Every replica in sync has the record. What becomes of the login, `gatepost.feed.state(reference)` tells, and a
    refusal `topics.login_outcomes` too.
    """

    reference: str
    partition: int
    offset: int


class TopicFeed:
    """Open it with `async with`, once for the life of your program; it is safe to share between tasks.

    `client` is `(client_id, secret)` of a client of the users' account with scope `feed`; `account` is the account's
    id. `kafka` are aiokafka's producer options: bootstrap_servers, security_protocol, ssl_context, … Or give a
    `producer` that you started and will stop, without serializers; an idempotent one takes nothing more for a partition
    that refused a record, and is yours to replace. `timeout`: for how many seconds Kafka may take no record.
    """

    def __init__(
        self,
        client: tuple[str, str],
        account: str,
        *,
        source: str = "platform",
        producer: AIOKafkaProducer | None = None,
        timeout: float = 30.0,
        **kafka: Any,
    ) -> None:
        if producer is not None and kafka:
            raise ValueError("give a producer or Kafka's options, not both")
        self._signer = Signer(client, account, source=source)
        self._given = producer
        self._own: AIOKafkaProducer | None = None
        self._options = USUAL | kafka
        self._timeout = timeout
        self._starting = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Raises `Unavailable`, `KafkaRefuses`."""
        try:
            await self._producer()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own is not None:
            self._leave(self._own)
            self._own = None
        await asyncio.gather(*self._leaving)

    async def put(self, login: FedLogin) -> Written:
        """Returns once Kafka has it; again with the same reference does no harm. Raises `BadRequest` for what Gatepost
        would not take, and then nothing was sent; `Unavailable`, when it may have been; `KafkaRefuses`.
        """
        return await self._acknowledged(await self._handed_over(login))

    async def send(
        self, logins: Iterable[FedLogin] | AsyncIterable[FedLogin], *, at_once: int = 1000
    ) -> AsyncGenerator[Written | Refused, None]:
        """What became of each, in order; what Gatepost would not take is `Refused` and was not sent. `logins` is read
        while fewer than `at_once` wait for Kafka. Raises `Unavailable`, `KafkaRefuses`; what was not told may be sent
        again.
        """
        async with aclosing(in_order(self._begun(logins), self._told, at_once)) as told:
            async for one in told:
                yield one

    async def _begun(
        self, logins: Iterable[FedLogin] | AsyncIterable[FedLogin]
    ) -> AsyncGenerator["Refused | _Pending", None]:
        """One after the other: records of one reference stay in order."""
        async with aclosing(each(logins)) as source:
            async for login in source:
                try:
                    yield await self._handed_over(login)
                except BadRequest as bad:
                    yield Refused(reference=_reference(login), reason=bad.name, detail=bad.detail)

    async def _told(self, begun: "Refused | _Pending") -> Written | Refused:
        return begun if isinstance(begun, Refused) else await self._acknowledged(begun)

    async def _handed_over(self, login: FedLogin) -> "_Pending":
        record = self._signer.record(login)
        producer = await self._producer()
        try:
            with translated("Kafka did not take the record"):
                async with asyncio.timeout(self._timeout):
                    taken = await producer.send(TOPIC, record.value, key=record.key, headers=record.headers)
        except GatepostError as error:
            self._failed(producer, error)
            raise
        return _Pending(login.reference, producer, taken)

    async def _acknowledged(self, pending: "_Pending") -> Written:
        try:
            with translated("Kafka did not acknowledge the record"):
                done, _ = await asyncio.wait({pending.taken}, timeout=self._timeout)
                if not done:
                    raise TimeoutError
                where = pending.taken.result()
        except GatepostError as error:
            self._failed(pending.producer, error)
            raise
        return Written(reference=pending.reference, partition=where.partition, offset=where.offset)

    async def _producer(self) -> AIOKafkaProducer:
        if self._given is not None:
            return self._given
        async with self._starting:
            if self._own is None:
                with translated("Kafka cannot be reached"):
                    async with asyncio.timeout(self._timeout):
                        self._own = await self._started()
            return self._own

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**self._options)
        try:
            await producer.start()
        except BaseException:
            self._leave(producer)
            raise
        return producer

    def _failed(self, producer: AIOKafkaProducer, error: GatepostError) -> None:
        """A timeout of ours leaves it alone: it goes on trying."""
        if self._own is producer and not isinstance(error.__cause__, TimeoutError):
            self._own = None
            self._leave(producer)

    def _leave(self, producer: AIOKafkaProducer) -> None:
        task = asyncio.create_task(_stopped(producer))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


class _Pending:
    """A record that aiokafka has and Kafka has not acknowledged yet."""

    def __init__(self, reference: str, producer: AIOKafkaProducer, taken: "asyncio.Future[Any]") -> None:
        self.reference, self.producer, self.taken = reference, producer, taken
        taken.add_done_callback(_looked_at)


def _looked_at(taken: "asyncio.Future[Any]") -> None:
    """Nobody may be waiting any more, and asyncio complains about errors that nobody looked at."""
    if not taken.cancelled():
        taken.exception()


async def _stopped(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()
    except (KafkaError, TimeoutError, OSError) as error:
        log.info("the producer did not stop in order: %s", type(error).__name__)


def _reference(login: Any) -> str:
    return str(getattr(login, "reference", ""))
