"""Bytes to events and back. An error names the field, never a value."""

from typing import Final, Literal

import msgspec

from schemas.events import EVENTS, AnyEvent, Event, Instant
from schemas.topics import TOPICS

Reason = Literal["empty", "too-large", "not-json", "unknown-type", "invalid", "wrong-topic"]
LARGEST: Final = 1024 * 1024
YEARS: Final = range(1970, 9999)  # beyond them an instant may have no UTC, which is where readers fall over

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(AnyEvent)
_TYPES: Final = {topic.name: topic.events for topic in TOPICS}
_INSTANTS: Final = {
    event: tuple(f.name for f in msgspec.structs.fields(event) if f.type == Instant) for event in EVENTS
}


class BadEvent(Exception):
    """These bytes are no event for this topic."""

    def __init__(self, reason: Reason, where: str = "") -> None:
        super().__init__(f"{reason}: {where}" if where else reason)
        self.reason = reason


class Envelope(msgspec.Struct, frozen=True):
    """What can be read of an event whose type is unknown."""

    id: str
    type: str
    account_id: str


_envelope: Final = msgspec.json.Decoder(Envelope)


def encode(event: Event) -> bytes:
    """Compact JSON, fields in the order of the struct."""
    return _encoder.encode(event)


def decode(data: bytes | None) -> AnyEvent:
    """Raises `BadEvent`."""
    if not data:
        raise BadEvent("empty")
    if len(data) > LARGEST:
        raise BadEvent("too-large")
    try:
        event: AnyEvent = _decoder.decode(data)
    except msgspec.ValidationError as bad:
        raise _explained(data, str(bad)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadEvent("not-json") from None
    _check_years(event)
    return event


def decode_for(topic: str, data: bytes | None) -> AnyEvent:
    """The same, refusing an event that does not belong on that topic."""
    event = decode(data)
    if not isinstance(event, _TYPES[topic]):
        raise BadEvent("wrong-topic", type(event).__name__)
    return event


def peek(data: bytes | None) -> Envelope | None:
    """The envelope, where the bytes have one."""
    try:
        return _envelope.decode(data or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _check_years(event: Event) -> None:
    for name in _INSTANTS[type(event)]:
        if getattr(event, name).year not in YEARS:
            raise BadEvent("invalid", f"`$.{name}`")


def _explained(data: bytes, text: str) -> BadEvent:
    known = {event.__name__ for events in _TYPES.values() for event in events}
    found = peek(data)
    if found is not None and found.type not in known:
        return BadEvent("unknown-type")
    where = text.rpartition(" - at ")[2] if " - at " in text else text
    return BadEvent("invalid", where)
