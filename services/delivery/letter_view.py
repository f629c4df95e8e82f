"""What is shown of an opened dead letter: its shape, and those values that the contract keeps for ids, instants, words.

What somebody put into a record that is no event could be anything, a contact too; it is shown by kind and length.
"""

import re
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from schemas import codec

DEEPEST: Final = 6
MOST: Final = 100
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
WORD: Final = re.compile(r"[A-Za-z0-9:._+*-]{1,80}")
# Seven digits, also where blanks, dashes or brackets stand between them; the digits of an id are no number to call.
NUMBER_OF_SOMEBODY: Final = re.compile(r"(?:\d[ ().:_+-]{0,3}){7}")
ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PLAIN: Final = frozenset(
    (
        *(
            "id",
            "type",
            "source",
            "time",
            "version",
            "account_id",
            "user_id",
            "login_id",
            "cause",
            "channel",
            "channels",
        ),
        *("provider", "state", "reason", "next", "country", "code_key_id", "digits", "issued_at", "expires_at"),
        *("account_epoch", "user_epoch", "ms_since_login", "notice", "scope", "floor", "by", "max_age", "effective_at"),
        *("auth_time", "authenticated_at", "amr", "acr", "aud", "role", "client_id", "account", "scopes", "enabled"),
        "revision",
    )
)
# The only names under which the contract has a number; a phone number in the place of an id is one too.
COUNTED: Final = frozenset(
    (*("version", "digits", "account_epoch", "user_epoch", "ms_since_login", "floor", "max_age", "revision"),)
)
MASK: Final = "•"


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """`problem`: what the contract says of it now; None: nothing, so that its cause may be mended."""

    size: int
    signed: bool
    problem: str | None
    record: Any


def content_of(topic: str, signature: bytes, value: bytes) -> Content:
    return Content(size=len(value), signed=bool(signature), problem=_problem(topic, value), record=_record(value))


def _problem(topic: str, value: bytes) -> str | None:
    try:
        codec.decode_for(topic, value)
    except codec.BadEvent as bad:
        return str(bad)
    except KeyError:
        return "unknown-topic"
    return None


def _record(value: bytes) -> Any:
    try:
        return shown("", msgspec.json.decode(value), DEEPEST)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def shown(name: str, value: Any, deep: int) -> Any:
    """A value that stands under that name, or what kind of value it is."""
    match value:
        case None | bool():
            return value
        case int() | float():
            return value if name in COUNTED else "(number)"
        case str():
            return value if _is_plain(name, value) else f"({'sealed' if name == 'sealed' else 'text'}, {len(value)})"
        case list() if deep and len(value) <= MOST:
            return [shown(name, one, deep - 1) for one in value]
        case dict() if deep and len(value) <= MOST:
            return {_key(key): shown(str(key), one, deep - 1) for key, one in value.items()}
        case _:
            return f"({'list' if isinstance(value, list) else 'object'}, {len(value)})"


def _key(name: str) -> str:
    return name if NAME.fullmatch(name) else f"(name, {len(name)})"


def _is_plain(name: str, text: str) -> bool:
    if MASK in text:
        return "@" not in text.replace(f"{MASK}@", "") and not _holds_a_number(text)
    if name not in PLAIN:
        return False
    return _is_id(text) or _is_instant(text) or bool(WORD.fullmatch(text) and not _holds_a_number(text))


def _holds_a_number(text: str) -> bool:
    return bool(NUMBER_OF_SOMEBODY.search(ID.sub("", text)))


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _is_instant(text: str) -> bool:
    try:
        return "T" in text and ":" in text and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
