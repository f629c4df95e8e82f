"""What operators hold back. A message that is held back waits in the ledger until its code is dead."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from services.delivery.ports import Job

ANY: Final = "*"


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


def _matches(pause: Pause, job: Job) -> bool:
    return (
        pause.account in (ANY, str(job.account_id))
        and pause.channel in (ANY, job.channel)
        and pause.country in (ANY, job.country)
    )
