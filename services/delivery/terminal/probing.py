"""A canary login over HTTP: what happened when, and whether its code reached somebody."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from services.platform import cli

LOOK_SECONDS: Final = 0.1
PENDING: Final = frozenset({"queued", "sending"})
BAD: Final = frozenset({"failed", "undelivered", "unknown", "expired", "cancelled"})


def timeline_of(who: cli.Saved, login_id: str) -> dict[str, Any] | None:
    """None while delivery does not know the login yet. Raises `cli.Refused`."""
    try:
        found: dict[str, Any] = cli.answer_to(who, "delivery", "GET", f"/v1/timelines/{login_id}")
    except cli.Refused as refused:
        if refused.status == 404:
            return None
        raise
    return found


def steps_of(who: cli.Saved, login_id: str, seconds: float) -> Iterator[dict[str, Any]]:
    """Each step once, until all is settled. Raises `TimeoutError`."""
    shown, deadline = 0, time.monotonic() + seconds
    while True:
        found = timeline_of(who, login_id)
        if found is not None:
            yield from found["steps"][shown:]
            shown = len(found["steps"])
            if is_settled(found):
                return
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(LOOK_SECONDS)


def is_settled(found: Mapping[str, Any]) -> bool:
    """Nothing is on its way any more: it arrived, was taken by one who gives no receipts, or failed for good."""
    rows: Sequence[Mapping[str, Any]] = found["deliveries"]
    if not rows:
        return False
    waits = any(row["state"] in PENDING or (row["state"] == "sent" and row["due_at"] is not None) for row in rows)
    return found["closed"] is not None or not waits


def verdict(found: Mapping[str, Any], allow_fallback: bool) -> tuple[bool, str]:
    """Whether the code reached somebody as it should have, in a sentence."""
    rows: Sequence[Mapping[str, Any]] = found["deliveries"]
    good = [row for row in rows if row["state"] in ("delivered", "sent")]
    if not good:
        reasons = ", ".join(f"{row['channel']} {row['state']}: {row['reason'] or 'no reason'}" for row in rows)
        return False, f"No code arrived ({reasons})."
    row = next((row for row in good if row["cause"] == "login"), good[0])
    how = "arrived" if row["state"] == "delivered" else "was taken (this provider gives no receipt)"
    text = f"The {'SMS' if row['channel'] == 'sms' else 'e-mail'} {how}, by {row['provider']}."
    if row["cause"] == "login":
        return True, text
    return allow_fallback, f"{text} It took the place of one that did not arrive."
