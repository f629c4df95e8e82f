"""The ledger's closed sets: states, the moves between them, reasons that delivery itself gives."""

from enum import StrEnum
from typing import Final


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
    State.SENDING: frozenset(
        {State.SENT, State.QUEUED, State.FAILED, State.UNKNOWN, State.EXPIRED, State.CANCELLED, State.DELIVERED}
    )
    | {State.UNDELIVERED},
    State.SENT: frozenset({State.DELIVERED, State.UNDELIVERED, State.UNKNOWN}),
    State.UNKNOWN: frozenset({State.QUEUED}),
    State.DELIVERED: frozenset(),
    State.UNDELIVERED: frozenset(),
    State.FAILED: frozenset(),
    State.EXPIRED: frozenset(),
    State.CANCELLED: frozenset(),
}
DID_NOT_ARRIVE: Final = frozenset({State.FAILED, State.UNDELIVERED, State.UNKNOWN})


class Reason(StrEnum):
    """Why a row ended, where the provider's own reason does not say it."""

    TOO_LATE = "too-late"
    TRIES_USED_UP = "tries-used-up"
    NO_RECEIPT = "no-receipt"
    WORKER_LOST = "worker-lost"
    NO_PROVIDER = "no-provider"
    NO_CONTACT = "no-contact"
    KEY_UNKNOWN = "key-unknown"
    CONTACTS_BROKEN = "contacts-do-not-open"


def may_move(old: State, new: State) -> bool:
    return new in MOVES[old]
