"""What people type, as the API's own types: a field that does not fit is named, and nothing of the rest is lost."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")

WRONG: Final[Mapping[str, str]] = {
    "account": "This is no account's id. An id looks like 0192f3a4-5b6c-7d8e-9f01-23456789abcd.",
    "login_id": "This is no login's id. An id looks like 0192f3a4-5b6c-7d8e-9f01-23456789abcd.",
    "user": "This is no user's id. An id looks like 0192f3a4-5b6c-7d8e-9f01-23456789abcd.",
    "country": "Two capital letters of ISO 3166-1, like GB.",
    "since": "A time in UTC, like 2026-11-26T03:00:00Z.",
    "until": "A time in UTC, like 2026-11-26T03:00:00Z.",
    "per_second": "A number of at least 0.1.",
    "prefix": "The beginning of numbers, with a plus sign, like +44 7400 123.",
    "hours": "A whole number of hours, up to 720; 0 ends it.",
    "unreached": "true, or empty.",
    "email_off": "true, or empty.",
    "weight": "A whole number from 0 to 1000.",
    "position": "A whole number from 0 to 1000.",
    "slots": "A whole number from 1 to 1024; empty: no limit of its own.",
}
PLAIN: Final = "Letters, digits, dots, colons, dashes and underscores only."


class Read(NamedTuple):
    """`wrong` says what to mend, by field; `value` leaves those fields out."""

    value: Any
    wrong: Mapping[str, str]


def read(given: Mapping[str, str], kind: type[Any], more: Mapping[str, Any] | None = None) -> Read:
    """`kind` is a struct; what is empty or no field of it is left out. `more` are values of our own."""
    found: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for field in msgspec.structs.fields(kind):
        text = given.get(field.encode_name, "").strip()
        if text:
            try:
                value = msgspec.convert(text, field.type, strict=False)
                kind(**{field.name: value}, **(more or {}))  # what the struct itself checks
                found[field.name] = value
            except (msgspec.ValidationError, ValueError):
                wrong[field.encode_name] = WRONG.get(field.encode_name, PLAIN)
    return Read(kind(**found, **(more or {})), wrong)


def query_of(request_query: Mapping[str, str], kind: type[Any]) -> dict[str, str]:
    """The filters that an address names, to be typed on."""
    names = {field.encode_name for field in msgspec.structs.fields(kind)}
    return {name: value for name, value in request_query.items() if name in names and value.strip()}
