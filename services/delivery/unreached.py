"""People whom no code reached, in the last hour or day: counted at most every few seconds, however many look."""

import asyncio
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from services.delivery.figures import LENGTH, Span
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
        self._last: dict[Span, tuple[float, Unreached]] = {}
        self._counting = asyncio.Lock()

    async def of(self, span: Span) -> Unreached:
        async with self._counting:
            now, last = self._clock.monotonic(), self._last.get(span)
            if last is None or now - last[0] >= FRESH_SECONDS:
                last = now, await self._ledger.unreached(self._clock.now() - LENGTH[span])
                self._last[span] = last
            return last[1]
