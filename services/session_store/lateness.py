"""How late a process knew that sessions had ended, measured where its memory was answering without that."""

from collections.abc import Iterable
from typing import Any, Final

from schemas.events import ExpireAll, SessionPolicyChanged, SessionRevoked
from services.platform import metrics
from services.session_store.memory import Change, Memory

ENDS: Final = (ExpireAll, SessionPolicyChanged, SessionRevoked)


def measure(memory: Memory, change: Change, now: float) -> None:
    """Before it is applied. `now` is the database's clock; the event's time is that of the host that made it."""
    if isinstance(change, ENDS) and not memory.knows(change):
        _observe(type(change).__name__, now - change.time.timestamp())


def measure_floors(memory: Memory, rows: Iterable[Any], now: float) -> None:
    """A row says when it was raised only by its floor, in milliseconds."""
    for row in rows:
        if memory.rules.floors.get((row["scope"], row["id"]), 0) < row["floor"]:
            _observe(ExpireAll.__name__, now - row["floor"] / 1000)


def _observe(event: str, lag: float) -> None:
    metrics.REVOCATION_LAG_SECONDS.labels(event).observe(max(0.0, lag))
