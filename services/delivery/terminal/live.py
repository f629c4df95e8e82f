"""What happens now, one line a step, under it the rates of the last minute."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from rich.text import Text

from services.delivery.terminal.words import COLOURS, explained, told

WINDOW: Final = 60.0
GOOD: Final = frozenset({"sent", "delivered"})
BAD: Final = frozenset({"failed", "undelivered", "unknown", "doubted"})


class Rates:
    """Counts of the last minute, of the steps that were shown."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic, self._began = monotonic, monotonic()
        self._kinds: deque[tuple[float, str]] = deque()

    def count(self, step: Mapping[str, Any]) -> None:
        if (kind := _kind(step)) is not None:
            self._kinds.append((self._monotonic(), kind))

    def share(self) -> float:
        """E-mails instead of an SMS, of all messages that were begun."""
        begun = self._number("sms") + self._number("email") + self._number("fallback")
        return self._number("fallback") / begun if begun else 0.0

    def per_second(self, kind: str) -> float:
        return self._number(kind) / min(WINDOW, max(1.0, self._monotonic() - self._began))

    def _number(self, kind: str) -> int:
        since = self._monotonic() - WINDOW
        while self._kinds and self._kinds[0][0] < since:
            self._kinds.popleft()
        return sum(found == kind for _, found in self._kinds)


def _kind(step: Mapping[str, Any]) -> str | None:
    what = step["what"]
    if what in GOOD and step.get("ms") is not None:
        return "sent"
    if what in BAD or (what == "queued" and step.get("ms") is not None):
        return "failed"
    if what == "queued" and not step.get("provider"):
        return "fallback" if (step.get("cause") or "").startswith("fallback:") else step.get("channel")
    return None


def line(step: Mapping[str, Any]) -> Text:
    mark, text = told(step)
    made = Text().append(f"{step['at'][11:19]}  ", style="cyan")
    made.append(f"{mark} ", style=COLOURS[mark])
    made.append(f"{step.get('channel') or '':<6}", style="bold")
    made.append(text, style=COLOURS[mark])
    made.append(f"  {step['login_id']}", style="dim")
    why = explained(step)
    return made.append(f"  → {why.next}", style="dim") if why is not None and why.next else made


def header(rates: Rates, oldest: float | None, state: str, connected: bool) -> Text:
    made = Text().append(" gatepost watch ", style="reverse bold")
    made.append(f"  sent {rates.per_second('sent'):.1f}/s", style="green")
    failed = rates.per_second("failed")
    made.append(f"  failed {failed:.1f}/s", style="red" if failed else "")
    share = rates.share()
    made.append(f"  fallback {share:.0%}", style="yellow" if share else "")
    waited = "–" if oldest is None else f"{oldest:.0f} s"
    made.append(f"  oldest waiting {waited}", style="red" if (oldest or 0) > 30 else "")
    return made.append(f"  {state}", style="dim" if connected else "red bold")
