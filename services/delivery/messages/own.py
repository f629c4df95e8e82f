"""An account's own wording: names of the sender, and plain strings in the place of a template's."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from services.delivery.messages import judging, plain
from services.delivery.messages.library import Library
from services.delivery.messages.locales import TAG, ranges
from services.delivery.messages.sources import CODE, NAMES

ANY: Final = "*"
MOST_TEXTS: Final = 50
LONGEST: Final = 200
LONGEST_NAME: Final = 60
PLACEHOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "sms": ("code", "account", "minutes"),
    "email_subject": ("account", "minutes"),
    "email_greeting": ("account",),
    "email_sign_off": ("account",),
}
SMS_SENDER: Final = re.compile(r"\+[1-9]\d{6,14}|\d{3,8}|(?=.{1,11}\Z)(?=.*[A-Za-z])[A-Za-z0-9]+(?: [A-Za-z0-9]+)*")


class Texts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Plain strings in one language; what is left out is as the template has it."""

    sms: str | None = None
    email_subject: str | None = None
    email_greeting: str | None = None
    email_sign_off: str | None = None


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`texts` by locale; `*` is for whoever has no text in their own."""

    account_name: str | None = None
    email_sender: str | None = None
    sms_sender: str | None = None
    texts: dict[str, Texts] = {}


class BadWording(ValueError):
    """One field cannot be used; the text says why and what would do."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}.")
        self.field = field


def text_of(wording: Wording, locale: str | None, field: str) -> str | None:
    """The account's string for a locale: its own, a wider one's, or the one for all."""
    found = {tag.lower(): texts for tag, texts in wording.texts.items()}
    texts = (found[tag] for tag in (*ranges(locale), ANY) if tag in found)
    return next((text for one in texts if (text := getattr(one, field)) is not None), None)


def check(wording: Wording, library: Library, host: str) -> None:
    """Raises `BadWording`. What fits is judged with the longest code, the account's own name, and each locale."""
    _check_names(wording)
    if len(wording.texts) > MOST_TEXTS:
        raise BadWording("texts", f"holds at most {MOST_TEXTS} locales")
    if len({tag.lower() for tag in wording.texts}) < len(wording.texts):
        raise BadWording("texts", "names a locale twice, in two spellings")
    for tag, texts in wording.texts.items():
        place = _check_tag(tag, library)
        for field, allowed in PLACEHOLDERS.items():
            if (text := getattr(texts, field)) is not None:
                _check_text(f"{place}.{field}", text, allowed)
    for field, text, name in _texted(wording, library, wording.account_name or host):
        for fault in judging.sms_faults(text, name, host):
            raise BadWording(field, fault.what.rstrip("."))


def _check_names(wording: Wording) -> None:
    longest = {"account_name": judging.LONGEST_ACCOUNT, "email_sender": LONGEST_NAME}
    for field, most in longest.items():
        if (name := getattr(wording, field)) is not None:
            _check_name(field, name, most)
    if wording.sms_sender is not None and not SMS_SENDER.fullmatch(wording.sms_sender):
        raise BadWording(
            "sms_sender",
            "is a number with its country code (+…), a short code of 3 to 8 digits, or 1 to 11 letters and digits of"
            " A-Z, a-z, 0-9 with at least one letter",
        )


def _check_name(field: str, name: str, longest: int) -> None:
    _check_text(field, name, ())
    if len(name) > longest or name != name.strip() or re.search(r'[@<>"]', name):
        raise BadWording(field, f'takes 1 to {longest} characters without @, < and > or "')


def _check_tag(tag: str, library: Library) -> str:
    """Not repeated when it is none: it could be a secret in a wrong place."""
    if tag != ANY and not TAG.fullmatch(tag):
        raise BadWording("texts", f"is by locale, like de or pt-BR, or {ANY}")
    if tag != ANY and not library.has(tag):
        known = ", ".join(sorted(library.locales.values()))
        raise BadWording(f"texts.{tag}", f"has no templates: there are {known}, and {ANY} for all")
    return f"texts.{tag}"


def _check_text(field: str, text: str, allowed: tuple[str, ...]) -> None:
    try:
        plain.check(text, allowed, LONGEST)
    except plain.BadText as bad:
        raise BadWording(field, str(bad)) from None
    if field.endswith(".sms") and "{code}" not in text:
        raise BadWording(field, "does not say {code}")


def _texted(wording: Wording, library: Library, account: str) -> Iterator[tuple[str, str, str]]:
    """Every SMS as it can go out at the longest, with the field that is to blame for it."""
    longest = {"code": judging.LONGEST_CODE, "minutes": judging.LONGEST_MINUTES, "account": account}
    for tag, texts in wording.texts.items():
        if texts.sms is not None:
            yield f"texts.{tag}.sms", plain.fill(texts.sms, longest), CODE
    for name in NAMES if wording.account_name is not None else ():
        for tag in library.locales.values():
            for values in judging.examples(name, account):
                yield "account_name", library.sms(name, tag, values), name
