"""Twins of small ports, in memory. The suite of each runs on the twin and on the real one."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.login_gateway.ports import Rule, StillBusy


class MemoryCounters:
    """`ports.Counters` for one process; `now` moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self._hits: dict[bytes, list[datetime]] = defaultdict(list)
        self._under_way: dict[bytes, list[datetime]] = defaultdict(list)

    async def take(self, *wanted: tuple[Sequence[bytes], Sequence[Rule]]) -> bool:
        each = [(name, rule) for names, rules in wanted for name in names for rule in rules]
        if not all(self._lately(self._hits[name], rule.seconds) < rule.most for name, rule in each):
            return False
        for name in dict.fromkeys(name for name, _ in each):
            self._hits[name].append(self.now)
        return True

    async def give_back(self, names: Sequence[bytes]) -> None:
        for name in names:
            del self._hits[name][-1:]

    async def begin(self, name: bytes, rule: Rule) -> bool:
        """Nothing runs beside this: what is under way will not end while it waits."""
        if (hits := self._lately(self._hits[name], rule.seconds)) >= rule.most:
            return False
        if hits + self._lately(self._under_way[name], 60) >= rule.most:
            raise StillBusy
        self._under_way[name].append(self.now)
        return True

    async def end(self, names: Sequence[bytes], wrong: bool) -> datetime:
        for name in names:
            del self._under_way[name][-1:]
            self._hits[name] += [self.now] if wrong else []
        return self.now

    def _lately(self, instants: Sequence[datetime], seconds: int) -> int:
        return sum(instant > self.now - timedelta(seconds=seconds) for instant in instants)
