"""What a message says: the template of its language, with the account's own strings where it has some."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
import structlog

from services.delivery.messages import gsm7, own, plain
from services.delivery.messages.judging import bound
from services.delivery.messages.library import Library
from services.delivery.messages.own import Wording, text_of
from services.delivery.messages.sources import CODE

log = structlog.get_logger()

NOTHING_OWN: Final = Wording()
EXAMPLE_CODE: Final = "123456"
LONGEST_DEVICE: Final = 40
MOST_DIGITS: Final = 8
AN_ID: Final = re.compile(r"\d{5}|[^\s]{25}")
NOT_OF_A_NAME: Final = re.compile(r"[^\w ()+,-]|_")


class Facts(NamedTuple):
    """What a message tells of its sign-in; a notice has no code."""

    at: datetime
    device: str | None = None
    code: str | None = None
    minutes: int = 1


class Written(NamedTuple):
    """A message as it goes out, but for whom it goes to."""

    locale: str
    sender: str | None
    subject: str
    text: str
    html: str | None = None


class Sms(msgspec.Struct, frozen=True, kw_only=True):
    sender: str | None
    text: str
    septets: int
    segments: int


class Email(msgspec.Struct, frozen=True, kw_only=True):
    sender: str | None
    subject: str
    text: str
    html: str


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """Both messages with an example code, in the locale that was found for the one that was asked for."""

    locale: str
    sms: Sms
    email: Email


class Words:
    """The templates, and of each account what it has of its own: as the database said last."""

    def __init__(self, library: Library, host: str) -> None:
        self.library, self.host = library, host
        self._own: dict[UUID, Wording] = {}

    def update(self, changes: Iterable[tuple[UUID, Wording | None]]) -> None:
        """None: it has nothing of its own any more."""
        for account, wording in changes:
            if wording is None:
                self._own.pop(account, None)
            else:
                self._own[account] = self._usable(account, wording)

    def _usable(self, account: UUID, wording: Wording) -> Wording:
        """Templates and host may have changed since it was set: a code that goes out in our words beats none."""
        try:
            own.check(wording, self.library, self.host)
        except own.BadWording as bad:
            log.warning("wording_not_used", account_id=str(account), field=bad.field)
            return NOTHING_OWN
        return wording

    def of(self, account: UUID) -> Wording:
        return self._own.get(account, NOTHING_OWN)

    def sms(self, name: str, wording: Wording, wanted: str | None, facts: Facts) -> Written:
        locale, values = self.library.locale(wanted), self._values(wording, wanted, facts)
        mine = self._own_text(wording, wanted, "sms") if name == CODE else None
        text = plain.fill(mine, values) if mine is not None else self.library.sms(name, locale, values)
        if facts.code is not None:
            text = bound(text, self.host, facts.code)
        return Written(locale, wording.sms_sender, "", text)

    def mail(self, name: str, wording: Wording, wanted: str | None, facts: Facts) -> Written:
        locale, values = self.library.locale(wanted), self._values(wording, wanted, facts)
        subject = self._filled(wording, wanted, "email_subject", values) if name == CODE else None
        return Written(locale, wording.email_sender, *self.library.mail(name, locale, values, subject))

    def preview(self, name: str, wording: Wording, wanted: str | None, now: datetime) -> Preview:
        facts = Facts(now, "Firefox on Linux", EXAMPLE_CODE, 5) if name == CODE else Facts(now)
        sms, mail = self.sms(name, wording, wanted, facts), self.mail(name, wording, wanted, facts)
        cost, paid = gsm7.septets(sms.text), gsm7.segments(sms.text)
        return Preview(
            locale=sms.locale,
            sms=Sms(sender=sms.sender, text=sms.text, septets=cost, segments=paid),
            email=Email(sender=mail.sender, subject=mail.subject, text=mail.text, html=mail.html or ""),
        )

    def _values(self, wording: Wording, wanted: str | None, facts: Facts) -> dict[str, Any]:
        values: dict[str, Any] = {"account": wording.account_name or self.host}
        for field in ("greeting", "sign_off"):
            values[field] = self._filled(wording, wanted, f"email_{field}", values)
        values |= {"time": said(facts.at), "device": device_of(facts.device)}
        if facts.code is not None:
            values |= {"code": facts.code, "minutes": facts.minutes}
        return values

    def _filled(self, wording: Wording, wanted: str | None, field: str, values: Mapping[str, Any]) -> str | None:
        text = self._own_text(wording, wanted, field)
        return plain.fill(text, values) if text is not None else None

    def _own_text(self, wording: Wording, wanted: str | None, field: str) -> str | None:
        """In the language of the template: that of the default, for whoever's own there is none."""
        tag = wanted if wanted is not None and self.library.has(wanted) else self.library.default
        return text_of(wording, tag, field)


def said(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def device_of(given: str | None) -> str | None:
    """A device's name as a user may read it, or None for an id. Whoever knows a password chooses it: it must not read
    as a link, a number to call or another code.
    """
    text = " ".join(NOT_OF_A_NAME.sub(" ", given or "").split())[:LONGEST_DEVICE].strip()
    digits = sum(letter.isdigit() for letter in text)
    if AN_ID.search(text) or digits > MOST_DIGITS or not any(letter.isalpha() for letter in text):
        return None
    return text
