"""Typed readers of the topics, on aiokafka: `async for event in …`. At least once: an event's `id` tells repeats."""

import logging
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer

from gatepost_client.errors import GatepostError
from gatepost_client.events import SIGNATURE_HEADER, SIGNED, DeliveryOutcome, Event, LoginOutcome, SessionEvent
from gatepost_client.kafka import translated
from gatepost_client.signatures import BadSignature, PublicKeys

log = logging.getLogger("gatepost_client")
E = TypeVar("E", bound=Event)
AT_ONCE: Final = 500


class Unreadable(GatepostError):
    """A record that is no event of this topic as this version knows it: damaged, foreign, or of a newer type."""

    do = "Leave it out, and bring gatepost_client up to date."


class UnknownType(Unreadable):
    """The gateway signed it, and this version does not know its type: it may end sessions."""

    do = "Bring gatepost_client up to date; reading stops here, because what it says must not be missed."


OnBad = Callable[[GatepostError, str, int, int], None]
"""What to do with a record that is left out: why, topic, partition, offset."""


def logged(why: GatepostError, topic: str, partition: int, offset: int) -> None:
    """Says where it lies, and nothing of what is in it."""
    log.warning("left out %s/%s/%s: %s", topic, partition, offset, why.name)


class Reader(Generic[E]):
    """Open it with `async with`, then `async for event in reader`. With a group, a batch is committed once all of it
    was handed out and the next is asked for; what was not comes again. Without a group nothing is committed.
    """

    def __init__(self, topic: str, kind: Any, options: dict[str, Any], keys: PublicKeys | None, on_bad: OnBad) -> None:
        self._topic = topic
        self._decoder = msgspec.json.Decoder(kind)
        self._options = {"auto_offset_reset": "earliest", "enable_auto_commit": False, **options}
        self._commits = self._options.get("group_id") is not None
        self._keys = keys
        self._on_bad = on_bad

    async def __aenter__(self) -> Self:
        """Raises `Unavailable`, `KafkaRefuses`; so does reading."""
        self._consumer = AIOKafkaConsumer(self._topic, **self._options)
        try:
            with translated(f"{self._topic} cannot be read"):
                await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def __aiter__(self) -> AsyncGenerator[E, None]:
        while True:
            with translated(f"{self._topic} cannot be read"):
                batch = await self._consumer.getmany(timeout_ms=1000, max_records=AT_ONCE)
            if self._keys is not None:
                self._keys.refresh()
            for records in batch.values():
                for record in records:
                    if (event := self._read(record)) is not None:
                        yield event
            if batch and self._commits:
                with translated("What was handed out is not committed and comes again"):
                    await self._consumer.commit()

    def _read(self, record: Any) -> E | None:
        try:
            return self.decode(record.key, record.value, dict(record.headers).get(SIGNATURE_HEADER))
        except UnknownType:
            raise
        except GatepostError as why:
            self._on_bad(why, record.topic, record.partition, record.offset)
            return None

    def decode(self, key: bytes | None, value: bytes | None, signature: bytes | None) -> E:
        """One record's event. Raises `Unreadable`, `BadSignature`, `UnknownType`."""
        try:
            event: E = self._decoder.decode(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if self._keys is not None and signature is not None:
                self._keys.verify(self._topic, key or b"", value or b"", signature)
                raise UnknownType("unknown-type", f"A signed record of {self._topic}.") from None
            raise Unreadable("unreadable", f"A record of {self._topic}.") from None
        if isinstance(event, SIGNED):
            if self._keys is None:
                raise BadSignature("bad-signature", "There are no keys to check it with.")
            self._keys.verify(self._topic, key or b"", value or b"", signature)
        return event


def delivery_outcomes(*, on_bad: OnBad = logged, **kafka: Any) -> Reader[DeliveryOutcome]:
    """What became of each message. `kafka` are aiokafka's consumer options: bootstrap_servers, group_id, …"""
    return Reader("delivery-outcomes", DeliveryOutcome, kafka, None, on_bad)


def login_outcomes(*, on_bad: OnBad = logged, **kafka: Any) -> Reader[LoginOutcome]:
    """Fed logins that were refused, and logins that ended without a session."""
    return Reader("login-outcomes", LoginOutcome, kafka, None, on_bad)


def session_events(keys: PublicKeys, *, on_bad: OnBad = logged, **kafka: Any) -> Reader[SessionEvent]:
    """Sessions that begin and end. What is signed counts only with the gateway's signature; a forged one is left out,
    and a signed one of an unknown type raises `UnknownType`.
    """
    return Reader("session-events", SessionEvent, kafka, keys, on_bad)
