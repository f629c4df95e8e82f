"""The topics, as data: what is on each, by which key, from whom to whom, kept how long."""

from dataclasses import dataclass
from typing import Final

from schemas import events as e

DAY_MS: Final = 86_400_000
MIB: Final = 1024 * 1024
SIGNATURE_HEADER: Final = "gatepost-signature"
SIGNED: Final = (e.Verified, e.ExpireAll, e.SessionPolicyChanged, e.ClientChanged)


@dataclass(frozen=True, kw_only=True)
class Topic:
    """`retention_ms` None means compacted. Keys are ids, never a contact."""

    name: str
    key: str
    events: tuple[type[e.Event], ...]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    retention_ms: int | None
    partitions: int = 12
    max_message_bytes: int = MIB

    def settings(self) -> dict[str, str]:
        """The topic's configuration, as Kafka names it."""
        found = {"max.message.bytes": str(self.max_message_bytes)}
        if self.retention_ms is None:
            return found | {"cleanup.policy": "compact"}
        return found | {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}


LOGINS: Final = Topic(
    name="logins",
    key="reference",
    events=(e.LoginFed,),
    producers=("platform",),
    consumers=("gateway",),
    retention_ms=DAY_MS,
)
LOGIN_CHALLENGES: Final = Topic(
    name="login-challenges",
    key="user_id",
    events=(e.LoginChallenged, e.NoticeRequested),
    producers=("gateway",),
    consumers=("delivery",),
    retention_ms=DAY_MS,
)
EMAIL_FALLBACKS: Final = Topic(
    name="email-fallbacks",
    key="user_id",
    events=(e.EmailFallbackRequested,),
    producers=("delivery",),
    consumers=("delivery",),
    retention_ms=DAY_MS,
)
DELIVERY_OUTCOMES: Final = Topic(
    name="delivery-outcomes",
    key="user_id",
    events=(e.CodeSent, e.CodeDelivered, e.DeliveryFailed),
    producers=("delivery",),
    consumers=("gateway", "dashboard"),
    retention_ms=7 * DAY_MS,
)
LOGIN_OUTCOMES: Final = Topic(
    name="login-outcomes",
    key="user_id",
    events=(e.LoginRefused, e.LoginClosed),
    producers=("gateway",),
    consumers=("delivery", "platform", "dashboard"),
    retention_ms=7 * DAY_MS,
)
SESSION_EVENTS: Final = Topic(
    name="session-events",
    key="user_id, account_id or login_id",
    events=(e.Verified, e.ExpireAll, e.SessionPolicyChanged, e.SessionRevoked),
    producers=("gateway", "session-store"),
    consumers=("session-store", "delivery"),
    retention_ms=7 * DAY_MS,
)
CLIENTS: Final = Topic(
    name="clients",
    key="client_id",
    events=(e.ClientChanged,),
    producers=("gateway",),
    consumers=("gateway", "delivery", "session-store"),
    retention_ms=None,
    partitions=1,
)
DEAD_LETTERS: Final = Topic(
    name="dead-letters",
    key="the original key",
    events=(),
    producers=("gateway", "delivery", "session-store"),
    consumers=("delivery",),
    retention_ms=7 * DAY_MS,
    max_message_bytes=2 * MIB,
)
TOPICS: Final = (
    LOGINS,
    LOGIN_CHALLENGES,
    EMAIL_FALLBACKS,
    DELIVERY_OUTCOMES,
    LOGIN_OUTCOMES,
    SESSION_EVENTS,
    CLIENTS,
    DEAD_LETTERS,
)
GROUPS: Final = {
    "gateway": ("gateway-feed", "gateway-outcomes"),
    "delivery": ("delivery",),
    "session-store": ("session-store-writer",),
}
"""The consumer groups of each service; their names begin with its own."""
_BY_EVENT: Final = {event: topic for topic in TOPICS for event in topic.events}


def topic_of(event: e.Event) -> Topic:
    """The one topic that this event goes to."""
    return _BY_EVENT[type(event)]


def key_of(event: e.Event) -> bytes:
    """The record's key: what must stay in order goes to one partition."""
    match event:
        case e.ClientChanged():
            key: str | None = event.client_id
        case e.SessionRevoked():
            key = event.login_id
        case e.SessionPolicyChanged():
            key = event.account_id
        case e.ExpireAll():
            key = event.whose
        case e.LoginFed():
            key = event.reference
        case e.LoginRefused():
            key = event.user_id or event.reference
        case _:
            key = event.user_id
    if key is None:
        raise ValueError(f"{type(event).__name__} lacks the id that is its key")
    return key.encode()


def is_signed(event: e.Event) -> bool:
    """Whether consumers act on this event only with the gateway's signature."""
    return isinstance(event, SIGNED)


def rights() -> dict[str, dict[str, frozenset[str]]]:
    """Per principal the topics it may write and read: what Kafka's ACLs are made from."""
    principals = {p for topic in TOPICS for p in topic.producers + topic.consumers}
    return {
        who: {
            "write": frozenset(t.name for t in TOPICS if who in t.producers),
            "read": frozenset(t.name for t in TOPICS if who in t.consumers),
        }
        for who in sorted(principals)
    }
