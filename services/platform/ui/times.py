"""Instants as people read them: in UTC, with how long ago beside it."""

from datetime import UTC, datetime, timedelta
from typing import Final

from services.platform.plurals import plural

SOON: Final = timedelta(seconds=5)
UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def ago(at: datetime, now: datetime | None = None) -> str:
    """`3 minutes ago`, `in 2 days`, `just now`: the largest unit that fits."""
    since = (now or datetime.now(UTC)) - at
    if abs(since) < SOON:
        return "just now"
    words = lasting(abs(since))
    return f"{words} ago" if since > timedelta(0) else f"in {words}"


def lasting(span: timedelta) -> str:
    seconds = span.total_seconds()
    size, unit = next((each for each in UNITS if seconds >= each[0]), UNITS[-1])
    return plural(int(seconds // size), unit)
