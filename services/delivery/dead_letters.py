"""Dead letters, for those who look: where they came from and why; one more try after the cause is mended; put away."""

import base64
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from schemas import topics
from services.delivery.deliveries import Instant, Word, check_span
from services.delivery.ingest import Ingest
from services.delivery.intake import Record
from services.delivery.letter_view import Content, content_of
from services.delivery.states import LetterState
from services.platform.dead_letters import unpacked
from services.platform.keys.deadletters import DeadLetterOpener
from services.platform.keys.keyring import SealBroken, UnknownKey

OURS: Final = "delivery"
# What delivery writes and others read: the same bytes go to that topic again. What it reads itself it takes again here.
PUBLISHED: Final = frozenset(topic.name for topic in topics.TOPICS if OURS in topic.producers) - {
    topics.EMAIL_FALLBACKS.name,
    topics.DEAD_LETTERS.name,
}
TAKEN: Final = (topics.LOGIN_CHALLENGES, topics.EMAIL_FALLBACKS, topics.SESSION_EVENTS, topics.LOGIN_OUTCOMES)
READ: Final = frozenset(topic.name for topic in TAKEN)

Publish = Callable[[str, bytes, bytes, list[tuple[str, bytes]]], Awaitable[None]]


Why = Annotated[str, msgspec.Meta(min_length=3, max_length=200, pattern=r"^[^\x00-\x1f]*$")]


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What is listed: never the bytes. `replayable`: here, by `replay`; else where its topic is written."""

    id: UUID
    topic: str
    partition: int
    offset: int
    reason: str
    service: str | None
    size: int
    at: datetime
    state: LetterState
    replayable: bool = False
    replayed_at: datetime | None
    replayed_by: str | None
    discarded_at: datetime | None
    discarded_by: str | None
    discard_reason: str | None


class Letters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Filters; all of them narrow. `until` is the instant before which they came."""

    topic: Word | None = None
    reason: Word | None = None
    service: Word | None = None
    state: LetterState | None = None
    since: Instant | None = None
    until: Instant | None = None

    def __post_init__(self) -> None:
        check_span(self.since, self.until)


class Bulk(Letters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the letters that match, those that are open, oldest first. `next` of the answer is `after` of the next call;
    give that one the same `until`, so that a record which is still bad, and makes a new letter, is taken once.
    """

    after: Word | None = None
    dry_run: bool = False


class Discard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why nobody needs it; without a contact."""

    reason: Why


class BulkDiscard(Letters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All open letters that match; `because` is kept with each. Ten thousand at a time: again while `left`."""

    because: Why | None = None
    dry_run: bool = False


class Again(NamedTuple):
    """The record as it was, to be taken once more."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The record as it was, in base64: for whoever may write its topic (`gatepost topics publish`)."""

    topic: str
    key: str
    value: str
    headers: dict[str, str]


class NotOurs(Exception):
    """Another service refused this record; only that service can take it again."""


class Kept(Protocol):
    """The part of Postgres that replaying many needs."""

    async def open_page(self, of: Letters, after: UUID | None, limit: int) -> list[dict[str, Any]]: ...
    async def mark(self, letter_id: UUID, who: str) -> None: ...


class Taker:
    """Opens letters, and takes their records again where delivery can."""

    def __init__(self, opener: DeadLetterOpener, ingest: Ingest, publish: Publish) -> None:
        self._opener, self._publish = opener, publish
        self._takers: dict[str, Callable[[Sequence[Record]], Awaitable[int]]] = {
            topics.LOGIN_CHALLENGES.name: ingest.challenges,
            topics.EMAIL_FALLBACKS.name: ingest.emails,
            topics.SESSION_EVENTS.name: ingest.sessions,
            topics.LOGIN_OUTCOMES.name: ingest.outcomes,
        }

    async def take_again(self, row: Mapping[str, Any]) -> bool:
        """False: it is still bad, and made a new letter. Raises `NotOurs`, `SealBroken`, `UnknownKey`, `BrokerAway`
        or `Refused`.
        """
        if not is_replayable(row["topic"], row["service"]):
            raise NotOurs
        record = record_again(row, self._opener)
        if record.topic in PUBLISHED:
            await self._publish(record.topic, record.key, record.value, record.headers)
            return True
        return not await self._takers[record.topic]([record])

    async def take_many(self, kept: Kept, rows: Sequence[Mapping[str, Any]], who: str) -> dict[str, int]:
        """Counts by outcome: `taken`, `still-bad`, `not-ours`, `unreadable`. Raises `BrokerAway` or `Refused`."""
        counts: Counter[str] = Counter(taken=0)
        for row in rows:
            try:
                outcome = "taken" if await self.take_again(row) else "still-bad"
            except NotOurs:
                counts["not-ours"] += 1
            except (SealBroken, UnknownKey):
                counts["unreadable"] += 1
            else:
                await kept.mark(row["id"], who)
                counts[outcome] += 1
        return dict(counts)

    def content(self, row: Mapping[str, Any]) -> Content:
        """Raises `SealBroken` or `UnknownKey`."""
        signature, value = unpacked(self._opener.open(row["sealed"]))
        return content_of(row["topic"], signature, value)

    def exported(self, row: Mapping[str, Any]) -> Exported:
        """Raises `SealBroken` or `UnknownKey`."""
        record = record_again(row, self._opener)
        headers = {name: _text(value) for name, value in record.headers}
        return Exported(topic=record.topic, key=_text(record.key), value=_text(record.value), headers=headers)


def is_replayable(topic: str, service: str | None) -> bool:
    return topic in PUBLISHED or (topic in READ and service == OURS)


def outcomes_of(groups: Mapping[tuple[str, str | None], int]) -> dict[str, int]:
    """What replaying so many letters of each topic and service would come to; whether one opens is seen then."""
    counts: Counter[str] = Counter(taken=0)
    for (topic, service), many in groups.items():
        counts["taken" if is_replayable(topic, service) else "not-ours"] += many
    return dict(counts)


def record_again(row: Mapping[str, Any], opener: DeadLetterOpener) -> Again:
    """Raises `SealBroken` or `UnknownKey`."""
    signature, value = unpacked(opener.open(row["sealed"]))
    headers = [(topics.SIGNATURE_HEADER, signature)] if signature else []
    return Again(row["topic"], row["partition"], row["offset"], row["key"], value, headers)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
