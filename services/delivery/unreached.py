"""People whom no code reached, in the last hour or day: counted at most every few seconds, however many look."""

from datetime import datetime
from typing import Final, NamedTuple, Protocol

from services.delivery.figures import LENGTH, Span
from services.delivery.fresh import Fresh
from services.platform.clock import Clock

FRESH_SECONDS: Final = 5.0


class Unreached(NamedTuple):
    """Logins of a time that no code reached and nobody verified, and whose they are. `more`: the newest 5,000 messages
    that did not arrive were looked at, and there were others before them.
    """

    people: int
    logins: int
    more: bool


class Ledger(Protocol):
    """The part of Postgres that the count needs."""

    async def unreached(self, since: datetime) -> Unreached: ...


class Headcount:
    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock
        self._fresh = Fresh(self._count, FRESH_SECONDS, clock.monotonic)

    async def of(self, span: Span) -> Unreached:
        return await self._fresh.of(span)

    async def _count(self, span: Span) -> Unreached:
        return await self._ledger.unreached(self._clock.now() - LENGTH[span])
