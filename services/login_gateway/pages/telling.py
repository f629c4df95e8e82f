"""A login's state in words: what happened to the code, and what one can do now."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from schemas.events import Channel
from services.login_gateway import status
from services.login_gateway.house import House
from services.login_gateway.verify import closed_problem, locked_problem

Tone = Literal["good", "wait", "bad"]
LONG: Final = timedelta(seconds=8)
BY: Final = {"sms": "by SMS", "email": "by e-mail"}
FAILED: Final = "The SMS could not be delivered."
TITLES: Final = {
    "used": "This sign-in is complete",
    "expired": "The code has expired",
    "too-many-attempts": "Too many wrong codes",
    "locked": "Sign-in is locked",
    "wait": "Too many wrong codes",
}


class Way(msgspec.Struct, frozen=True):
    """A button that sends the code again; `channel` is empty where the user has only one."""

    channel: str
    label: str


class Told(msgspec.Struct, frozen=True):
    """`news` is what became of the code. `open` while a code is taken; `tone` is how the news are shown."""

    open: bool
    done: bool
    title: str
    news: str
    tone: Tone
    digits: int
    tries_left: int
    ways: tuple[Way, ...]
    resend_at: datetime | None
    expires_at: datetime


def told(house: House, login: Mapping[str, Any]) -> Told:
    """What the page of a login says now. `login` is its row, read with the database's clock as `at`."""
    shown = status.view(house, login)
    ended = _ended(house, login, shown)
    news, tone = _news(login, shown) if ended is None else (ended[1], _tone_of_end(shown))
    return Told(
        open=ended is None,
        done=shown["status"] == "signed_in",
        title=ended[0] if ended else "Enter the code",
        news=news,
        tone=tone,
        digits=login["digits"],
        tries_left=shown["attempts_left"],
        ways=() if ended else _ways(login),
        resend_at=shown["resend_at"],
        expires_at=login["expires_at"],
    )


def _ended(house: House, login: Mapping[str, Any], shown: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why no code is taken any more: a title, and what to do."""
    if shown["status"] != "code_required":
        reason = shown["reason"] or "used"
        return TITLES.get(reason, "This sign-in has ended"), closed_problem(reason).detail
    if login["locked_at"] is not None:
        return TITLES["locked"], f"There were too many wrong codes in a row. {locked_problem().detail}"
    if login["wrong_lately"] >= house.settings.wrong_codes_15min:
        return TITLES["wait"], "No code is taken for a quarter of an hour. Wait, then sign in again."
    return None


def _tone_of_end(shown: Mapping[str, Any]) -> Tone:
    return "good" if shown["status"] == "signed_in" else "bad"


def _news(login: Mapping[str, Any], shown: Mapping[str, Any]) -> tuple[str, Tone]:
    message = shown["delivery"]
    channel, to = message["channel"], message["to"]
    known = {each["channel"]: each for each in shown["sends"]}
    sms_failed = known.get("sms", {}).get("state") == "failed"
    before = f"{FAILED} " if sms_failed and channel == "email" else ""
    match message["state"]:
        case "queued":
            return _queued(before, channel, to, login["at"] - max(each["at"] for each in known.values()))
        case "sent" if channel == "email":
            return f"{before}We e-mailed {to}.", "wait" if before else "good"
        case "sent":
            return f"We sent an SMS to {to}.", "good"
        case "delivered":
            return f"{before}The code has arrived {BY[channel]} at {to}.", "good"
        case _:
            return _lost(login, channel, to, sms_failed), "bad"


def _queued(before: str, channel: str, to: str, since: timedelta) -> tuple[str, Literal["wait"]]:
    going = f"E-mailing {to} instead." if before else f"Sending {BY[channel]} to {to}."
    if since < LONG:
        return f"{before}{going}", "wait"
    return (
        f"{before}{going} This takes longer than usual: the code is queued and goes out by itself. "
        "You need not do anything but keep this page open.",
        "wait",
    )


def _lost(login: Mapping[str, Any], channel: str, to: str, sms_failed: bool) -> str:
    if channel == "email":
        lost = "Neither the SMS nor the e-mail" if sms_failed else f"The e-mail to {to}"
        return f"{lost} could not be delivered." if not sms_failed else f"{lost} could be delivered."
    if "email" not in login["channels"]:
        return f"The SMS to {to} could not be delivered, and there is no e-mail address on file to send to instead."
    return f"The SMS to {to} could not be delivered."


def _ways(login: Mapping[str, Any]) -> tuple[Way, ...]:
    """Only the user's own factors: a page must not pull a code into a mailbox that is off for its user."""
    on: list[Channel] = login["factors"]
    if len(on) == 1:
        return (Way("", f"Send the {'SMS' if on[0] == 'sms' else 'e-mail'} again"),)
    newest = status.delivery(login)["channel"]
    email = "Send the e-mail again" if newest == "email" else "Send by e-mail instead"
    return (Way("sms", "Send the SMS again"), Way("email", email))
