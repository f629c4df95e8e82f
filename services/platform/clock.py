"""Time and identity, passed in so that tests can replace them."""

import re
import time
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

import uuid_utils

LATEST_FLOOR_SECONDS: Final = 5
PARTS_OF_A_SECOND: Final = re.compile(r"(?<=T\d\d:\d\d:\d\d)\.\d+Z$")
_EVENTS = uuid5(NAMESPACE_URL, "urn:gatepost:event")


class Clock(Protocol):
    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clock: aware UTC instants and monotonic seconds."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def in_utc(at: datetime) -> datetime:
    """Raises `ValueError` for an instant without a zone, and for one that UTC's years 1 to 9999 do not have."""
    if at.tzinfo is None:
        raise ValueError("an instant has a zone")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("UTC has no such instant") from None


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): sorts by the millisecond it was made."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def event_id(*parts: object) -> str:
    """The same parts give the same id, so a repeated event is recognised (UUIDv5, RFC 9562)."""
    return str(uuid5(_EVENTS, "\x1f".join(str(part) for part in parts)))


def is_ahead(floor: int, now: float) -> bool:
    """Whether a floor (milliseconds) lies further ahead of `now` (Unix seconds) than clocks may differ."""
    return floor > (now + LATEST_FLOOR_SECONDS) * 1000


def to_the_second(text: str) -> str:
    """An instant in RFC 3339 without the parts of its second; anything else as it is."""
    return PARTS_OF_A_SECOND.sub("Z", text)
