"""The wording: plain, one GSM-7 segment for an SMS, no link, nothing but the code."""

from typing import Final

SEGMENT: Final = 160
NOTICES: Final = {
    "locked": (
        "Your sign-in is locked",
        "Your sign-in is locked after too many wrong codes. If that was not you, tell your administrator.",
    ),
    "phone-changed": (
        "Your phone number was changed",
        "The phone number for your sign-in codes was changed. If you did not expect it, tell your administrator.",
    ),
    "email-changed": (
        "Your e-mail address was changed",
        "The e-mail address of your sign-in was changed. If you did not expect it, tell your administrator.",
    ),
}


def sms_text(code: str, host: str) -> str:
    """The last line lets phones fill the code in at `host` only (WICG origin-bound one-time codes)."""
    return f"{code} is your sign-in code. Never share it.\n\n@{host} #{code}"[:SEGMENT]


def email_subject() -> str:
    return "Your sign-in code"


def email_text(code: str, minutes: int) -> str:
    return (
        f"Your sign-in code is {code}\n\n"
        f"It works for one sign-in and for about {minutes} minute{'' if minutes == 1 else 's'}.\n"
        "Nobody from us will ever ask for it.\n\n"
        "If you are not signing in right now, somebody knows your password: change it.\n"
    )


def notice(name: str) -> tuple[str, str]:
    """Subject and text of a message without a code; the same words by SMS and by e-mail."""
    return NOTICES[name]
