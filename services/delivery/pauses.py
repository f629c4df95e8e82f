"""What operators hold back. A message that is held back waits in the ledger until its code is dead."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from services.delivery.ports import Job

ANY: Final = "*"
LOOKS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """`*` is any. With a provider: what could go by another one goes by that."""

    account: str = ANY
    channel: str = ANY
    country: str = ANY
    provider: str = ANY


class Pauses:
    """Those in force, as they were read last."""

    def __init__(self, pauses: Iterable[Pause] = ()) -> None:
        self._pauses = list(pauses)

    def holds(self, job: Job) -> bool:
        """Whether the message waits whoever would send it."""
        return any(pause.provider == ANY and _matches(pause, job) for pause in self._pauses)

    def without(self, job: Job) -> set[str]:
        """The providers that it must not go by."""
        return {pause.provider for pause in self._pauses if _matches(pause, job)}


class Ended:
    """Pauses that ended lately. What was being written when one ended may not have heard of it, and would wait until
    its code is dead: so it is looked for a few times more. Whoever begins knows of none, and looks for everything.
    """

    def __init__(self) -> None:
        self._known = frozenset({Pause()})
        self._looks: dict[Pause, int] = {}

    def add(self, pause: Pause) -> None:
        self._looks[pause] = LOOKS

    def to_look_for(self, in_force: Iterable[Pause]) -> list[Pause]:
        """Asked whenever those in force were read."""
        now = frozenset(in_force)
        for pause in self._known - now:
            self.add(pause)
        self._known = now
        found = [pause for pause in self._looks if pause.provider == ANY]
        self._looks = {pause: left - 1 for pause, left in self._looks.items() if left > 1}
        return found


def _matches(pause: Pause, job: Job) -> bool:
    return (
        pause.account in (ANY, str(job.account_id))
        and pause.channel in (ANY, job.channel)
        and pause.country in (ANY, job.country)
    )
