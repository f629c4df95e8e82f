"""A provider as one worker uses it: how many calls at once, how many a second, and whether it answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from services.delivery.breaker import Breaker, End
from services.delivery.provider import Blame, Channel, Permanent, Retryable, SenderRefused, Unknown

FULL_PAUSE: Final = 0.25
BURST_SECONDS: Final = 1.0
SILENT: Final = frozenset({"provider-silent", "provider-unreachable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider's row: what an operator may change while it runs. Limits are those of one worker; `slots` None: three
    quarters of its calls, `per_second` None: no limit.
    """

    name: str
    channel: str
    enabled: bool = True
    weight: int = 1
    position: int = 0
    slots: int | None = None
    per_second: float | None = None


class Lane:
    """`provider` may change while calls are under way."""

    def __init__(self, channel: Channel, now: Callable[[], float], worker_slots: int) -> None:
        self.channel = channel
        self.provider = Provider(name=channel.name, channel=channel.channel, enabled=False)
        self.breaker = Breaker(now)
        self.under_way = 0
        self._now, self._worker_slots = now, worker_slots
        self._next = 0.0

    @property
    def slots(self) -> int:
        return self.provider.slots or max(1, self._worker_slots * 3 // 4)

    @property
    def free(self) -> int:
        return max(0, self.slots - self.under_way) if self.provider.enabled else 0

    def pause(self) -> float:
        """Seconds until this provider has room, as far as one can know; 0.0 now. Its breaker is another matter."""
        if not self.free:
            return FULL_PAUSE
        return max(0.0, self._next - BURST_SECONDS - self._now()) if self.provider.per_second else 0.0

    @contextmanager
    def call(self) -> Iterator[Channel]:
        """One call: it takes a slot and its share of the rate, and its end is told to the breaker."""
        probe = self.breaker.begin()
        self.under_way += 1
        if self.provider.per_second:
            self._next = max(self._next, self._now()) + 1 / self.provider.per_second
        end, after = End.NOTHING, None
        try:
            yield self.channel
            end = End.GOOD
        except (Permanent, Retryable, Unknown) as trouble:
            end, after = end_of(trouble)
            raise
        finally:
            self.under_way -= 1
            self.breaker.end(end, probe, after)


def end_of(trouble: Permanent | Retryable | Unknown) -> tuple[End, float | None]:
    """What an error says about the provider, and how long it asked to be left alone."""
    if isinstance(trouble, Permanent):
        return (End.FAILED if trouble.blame is Blame.PROVIDER else End.ANSWERED), None
    if isinstance(trouble, SenderRefused):
        return End.ANSWERED, None
    after = trouble.after if isinstance(trouble, Retryable) else None
    return (End.TIMEOUT if trouble.reason in SILENT else End.FAILED), after
