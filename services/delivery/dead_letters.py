"""Dead letters, for those who look: where they came from and why; and one more try after the cause is mended."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from schemas import topics
from services.delivery.ingest import Ingest
from services.delivery.intake import Record
from services.platform.dead_letters import unpacked
from services.platform.keys.deadletters import DeadLetterOpener

OURS: Final = "delivery"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown: never the bytes."""

    id: UUID
    topic: str
    partition: int
    offset: int
    reason: str
    service: str | None
    size: int
    at: datetime
    replayed_at: datetime | None


class Again(NamedTuple):
    """The record as it was, to be taken once more."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class NotOurs(Exception):
    """Another service refused this record; only that service can take it again."""


def record_again(row: Mapping[str, Any], opener: DeadLetterOpener) -> Again:
    """Raises `SealBroken` or `UnknownKey`."""
    signature, value = unpacked(opener.open(row["sealed"]))
    headers = [(topics.SIGNATURE_HEADER, signature)] if signature else []
    return Again(row["topic"], row["partition"], row["offset"], row["key"], value, headers)


async def take_again(row: Mapping[str, Any], opener: DeadLetterOpener, ingest: Ingest) -> None:
    """A record that is still bad makes a new letter. Raises `NotOurs`, `SealBroken` or `UnknownKey`."""
    takers: dict[str, Callable[[Sequence[Record]], Awaitable[None]]] = {
        topics.LOGIN_CHALLENGES.name: ingest.challenges,
        topics.EMAIL_FALLBACKS.name: ingest.emails,
        topics.SESSION_EVENTS.name: ingest.sessions,
        topics.LOGIN_OUTCOMES.name: ingest.outcomes,
    }
    take = takers.get(row["topic"])
    if take is None or row["service"] != OURS:
        raise NotOurs
    await take([record_again(row, opener)])
