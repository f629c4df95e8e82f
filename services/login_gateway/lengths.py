"""A session's length in words, and what another one would do to the sessions that are open."""

from typing import Final, NamedTuple

from services.login_gateway.accounts import DAY, HOUR, in_range
from services.platform.http import Problem
from services.platform.plurals import plural

UNITS: Final = {"days": DAY, "hours": HOUR}


class Ending(NamedTuple):
    """How many sessions end; `capped`: more than so many."""

    many: int
    capped: bool


def in_words(seconds: int) -> str:
    for unit, size in UNITS.items():
        if seconds % size == 0:
            return plural(seconds // size, unit.removesuffix("s"))
    return plural(seconds, "second")


def as_form(seconds: int) -> dict[str, str]:
    """The largest unit that tells it; part of an hour is rounded up."""
    unit = "days" if seconds % DAY == 0 else "hours"
    return {"amount": str(-(-seconds // UNITS[unit])), "unit": unit}


def of_form(amount: str, unit: str) -> int:
    """Raises 422 `setting-out-of-range`."""
    if not (amount.isascii() and amount.isdigit() and len(amount) < 7 and unit in UNITS):
        raise Problem(422, "setting-out-of-range", "Enter a whole number of days or hours.", field="amount")
    return in_range("session_seconds", int(amount) * UNITS[unit])


def preview(seconds: int, now: int, ending: Ending | None) -> str:
    """What changing the length from `now` to `seconds` does at once, and from then on."""
    if seconds == now:
        return "This is the length in force: nothing changes."
    after = f"{in_words(seconds)} after they were opened"
    if seconds > now:
        return f"No session ends now. Open sessions and new ones end {after}; none that is over comes back."
    rest = f"The others, and all new ones, end {after}."
    if ending is None:
        return f"Sessions that were opened more than {in_words(seconds)} ago end now; how many cannot be told. {rest}"
    if ending.many == 0:
        return f"No session ends now: all were opened within the last {in_words(seconds)}. All end {after}."
    many = f"More than {ending.many:,} sessions end" if ending.capped else _ends(ending.many)
    return f"{many} now: opened more than {in_words(seconds)} ago. {rest}"


def _ends(count: int) -> str:
    return "1 session ends" if count == 1 else f"{count:,} sessions end"
