"""A canary login over HTTP: what happened when, and whether its code reached somebody."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from services.platform import cli

LOOK_SECONDS: Final = 0.1
PENDING: Final = frozenset({"queued", "sending"})
BAD: Final = frozenset({"failed", "undelivered", "unknown", "expired", "cancelled"})
GOOD, FAILED, NOT_TESTED = 0, 1, 3
SMS_SPENT: Final = (
    "No SMS was tried: the limit of SMS to this user or number is spent (5 an hour, 20 a day, unless set otherwise)."
    " The code went by e-mail. This says nothing of the provider; probe again later, and less often."
)


def sms_is_on(who: cli.Saved, found: Mapping[str, Any]) -> bool:
    """For the user of that login; if `who` may not read users, a phone number on file is taken for yes."""
    if not found["deliveries"]:
        return False
    try:
        user: dict[str, Any] = cli.answer_to(
            who, "gateway", "GET", f"/v1/accounts/{found['account']}/users/{found['user']}"
        )
    except cli.Refused:
        return any(row["country"] is not None for row in found["deliveries"])
    return bool(user["two_factor"]["sms"]) and user["phone"] is not None


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


class Verdict(NamedTuple):
    """The command's exit code and a sentence."""

    code: int
    text: str


def verdict(found: Mapping[str, Any], allow_fallback: bool, sms_is_on: bool) -> Verdict:
    """Whether the code reached somebody as it should have. `sms_is_on`: for this user."""
    rows: Sequence[Mapping[str, Any]] = found["deliveries"]
    if rows and sms_is_on and all(row["channel"] != "sms" for row in rows):
        return Verdict(NOT_TESTED, SMS_SPENT)
    good = [row for row in rows if row["state"] in ("delivered", "sent")]
    if not good:
        reasons = ", ".join(f"{row['channel']} {row['state']}: {row['reason'] or 'no reason'}" for row in rows)
        return Verdict(FAILED, f"No code arrived ({reasons}).")
    row = next((row for row in good if row["cause"] == "login"), good[0])
    how = "arrived" if row["state"] == "delivered" else "was taken (this provider gives no receipt)"
    text = f"The {'SMS' if row['channel'] == 'sms' else 'e-mail'} {how}, by {row['provider']}."
    if row["cause"] == "login":
        return Verdict(GOOD, text)
    return Verdict(GOOD if allow_fallback else FAILED, f"{text} It took the place of one that did not arrive.")
