"""The ledger's closed sets: states, the moves between them, reasons that delivery itself gives."""

from enum import StrEnum
from typing import Final, Literal

CauseKind = Literal["login", "resend", "fallback", "replay", "notice"]
LetterState = Literal["open", "replayed", "discarded"]


class State(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    UNKNOWN = "unknown"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


MOVES: Final[dict[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.SENDING, State.EXPIRED, State.CANCELLED, State.FAILED}),
    State.SENDING: frozenset(State) - {State.SENDING},
    State.SENT: frozenset({State.DELIVERED, State.UNDELIVERED, State.UNKNOWN, State.QUEUED}),
    State.UNKNOWN: frozenset(),
    State.DELIVERED: frozenset(),
    State.UNDELIVERED: frozenset(),
    State.FAILED: frozenset(),
    State.EXPIRED: frozenset(),
    State.CANCELLED: frozenset(),
}
DID_NOT_ARRIVE: Final = frozenset({State.FAILED, State.UNDELIVERED, State.UNKNOWN})
TROUBLE: Final = DID_NOT_ARRIVE | {State.EXPIRED}
"""What a replay looks at: also what nobody could send in time."""


class Reason(StrEnum):
    """Why a row ended, where the provider's own reason does not say it."""

    TOO_LATE = "too-late"
    TRIES_USED_UP = "tries-used-up"
    NO_RECEIPT = "no-receipt"
    WORKER_LOST = "worker-lost"
    NO_PROVIDER = "no-provider"
    PROVIDERS_DOWN = "providers-down"
    PROVIDERS_BUSY = "providers-busy"
    PAUSED = "paused"
    NO_CONTACT = "no-contact"
    LEASE_TOO_SHORT = "lease-too-short"
    KEY_UNKNOWN = "key-unknown"
    CONTACTS_BROKEN = "contacts-do-not-open"
    GUARD_CONVERSION = "guard-conversion"
    GUARD_COUNTRY = "guard-country"
    GUARD_NUMBER_TYPE = "guard-number-type"
    GUARD_BUDGET = "guard-budget"


def comes_from(new: State) -> list[State]:
    """The states that a leased row may be in to get this one; a result for any other is too late."""
    return [old for old in (State.SENDING, State.SENT) if new in MOVES[old] or old == new == State.SENT]
