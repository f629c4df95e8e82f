"""Figures, states and steps in words, for templates."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from services.delivery.states import Reason
from services.delivery.terminal import words
from services.delivery.terminal.words import ARRIVED, ENDED, FAILED, WAITS

TONES: Final[Mapping[str, str]] = {
    "delivered": "good",
    "sent": "good",
    "done": "good",
    "closed": "good",
    "replayed": "good",
    "taken": "good",
    "OK": "good",
    "queued": "wait",
    "sending": "wait",
    "running": "wait",
    "probing": "wait",
    "open": "wait",
    "unknown": "wait",
    "WARN": "wait",
    "failed": "bad",
    "undelivered": "bad",
    "expired": "bad",
    "FAIL": "bad",
}
MARKS: Final[Mapping[str, str]] = {ARRIVED: "good", WAITS: "wait", FAILED: "bad", ENDED: ""}
SKIPPED: Final[Mapping[str, str]] = {
    "expired": "with a code that is over",
    "used": "signed in meanwhile",
    "under-way": "being sent already",
    "limit": "to people or numbers that got as many as they may",
    "no-contact": "without a contact",
    "arrived-meanwhile": "arrived or sent meanwhile",
}
CLOSED: Final[Mapping[str, str]] = {
    "expired": "it took too long",
    "too-many-attempts": "too many wrong codes",
    "sessions-expired": "all sessions were ended",
    "contact-changed": "the contact was changed",
}
GUARDED: Final[Mapping[str, str]] = {
    Reason.GUARD_CONVERSION: "Too few codes come back from numbers that begin like these. The phones of one company"
    " often do: if these people are honest, let their block of numbers through, then send again.",
    Reason.GUARD_BUDGET: "The day's budget for SMS is spent: send again after midnight UTC, or raise it"
    " (gatepost guard set ACCOUNT --daily-budget).",
    Reason.GUARD_COUNTRY: "No SMS goes to their country: sending again changes nothing until the settings do"
    " (gatepost guard set ACCOUNT --country).",
    Reason.GUARD_NUMBER_TYPE: "No SMS goes to their kind of number: sending again changes nothing. They need another"
    " number, or an e-mail address.",
}
"""What to do where the guard stopped a message."""
STATUS: Final[Mapping[str, str]] = {"OK": "fine", "WARN": "look at it", "FAIL": "act now"}


def tone(state: str) -> str:
    """How a state is shown: good, wait, bad, or as nothing of the kind."""
    return TONES.get(state, "")


def share(part: float | None) -> str:
    """Of one, in hundredths; never 100 % where something is missing."""
    if part is None:
        return "–"
    return f"{part:.0%}" if part in (0, 1) or 0.005 <= part <= 0.99 else f"{part:.1%}" if part < 0.9995 else "99.9%"


def milliseconds(ms: int | None) -> str:
    if ms is None:
        return "–"
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def seconds(span: float) -> str:
    return f"{span:.0f} s" if span < 120 else f"{span / 60:.0f} min"


def number(many: float) -> str:
    return f"{many:,}"


def plural(many: int, word: str, words: str = "") -> str:
    return f"{many:,} {word if many == 1 else words or f'{word}s'}"


def short(name: Any) -> str:
    """The end of an id: by it one is told from another."""
    return str(name)[-8:]


def skipped(name: str) -> str:
    """Why a replay leaves messages out, after their number."""
    kind, _, why = name.partition(":")
    return f"of a sign-in that is over: {CLOSED.get(why, why)}" if kind == "closed" else SKIPPED.get(name, name)


def reason_words(reason: str) -> str:
    """What it means, where the console knows it."""
    found = words.REASONS.get(reason)
    return found.means if found else ""


def guarded(reason: str | None) -> str:
    return GUARDED.get(reason or "", "")


def money(amount: float | None) -> str:
    return "–" if not amount else f"{amount:,.2f}"


def clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S}"


def minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M}"


def unix(at: datetime) -> int:
    return round(at.timestamp())


def since_begin(ms: int | None) -> str:
    return "" if ms is None else f"+{max(0, ms) / 1000:.2f} s"


def sentence(step: Mapping[str, Any]) -> str:
    return words.told(step).text


def mark(step: Mapping[str, Any]) -> str:
    return words.told(step).mark


def step_tone(step: Mapping[str, Any]) -> str:
    return MARKS.get(mark(step), "good")


def cause(text: str) -> str:
    """Why a message was made."""
    kind, _, rest = text.partition(":")
    match kind:
        case "login":
            return "at sign-in"
        case "resend":
            return f"asked for again ({rest})"
        case "fallback":
            return "the SMS did not arrive"
        case "replay":
            return f"replay …{short(rest)}"
        case "notice":
            return f"notice: {rest}"
        case _:
            return text


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "tone": tone,
    "share": share,
    "milliseconds": milliseconds,
    "seconds": seconds,
    "number": number,
    "plural": plural,
    "short": short,
    "skipped": skipped,
    "guarded": guarded,
    "reason_words": reason_words,
    "money": money,
    "clock": clock,
    "minute": minute,
    "unix": unix,
    "since_begin": since_begin,
    "sentence": sentence,
    "mark": mark,
    "step_tone": step_tone,
    "cause": cause,
    "status_words": lambda status: STATUS[str(status)],
}
