"""Users as rows of a CSV file: the same for the command line and for the console."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from services.login_gateway.import_faults import Fault

FLAGS: Final = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
TEXTS: Final = frozenset(
    ("username", "external_id", "password", "password_hash", "name", "phone", "email", "role", "kind", "locale")
)
FACTORS: Final = {"two_factor_sms": "sms", "two_factor_email": "email"}
FIELDS_DIFFER: Final = (
    "The row has more or fewer fields than the first line: look for a comma too many or too few. "
    "A text with a comma in it stands in quotes."
)
NO_CSV: Final = "This is not CSV ({}). A text with a quote in it stands in quotes, and its own quotes are doubled."
Wrong = tuple[str | None, str]
"""A field as JSON names it, and what is wrong with it."""
COLUMNS: Final = TEXTS | FACTORS.keys() | {"disabled", "claims"}


class BadRow(NamedTuple):
    """A CSV row that is no user, and everything that is wrong with it."""

    faults: "list[Fault]"


def header_problem(header: Sequence[str]) -> str:
    """What is wrong with the names of the columns; empty where nothing is."""
    unknown = sorted(set(header) - COLUMNS)
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    problem = f"unknown columns {', '.join(unknown)}" if unknown else ""
    problem = problem or (f"the header names {', '.join(twice)} twice" if twice else "")
    return problem or ("" if "username" in header else "there is no column username")


def column(field: str | None) -> str | None:
    """The column of a field that JSON names."""
    return next((name for name in FACTORS if field == _field(name)), field)


def rows(text: Iterable[str]) -> Iterator[tuple[int, bytes | BadRow]]:
    """Each user as a JSON object, with the number of its last line; the first row names the columns."""
    reader = csv.DictReader(text, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as bad:
            yield reader.line_num, _bad((None, NO_CSV.format(bad)))
            continue
        yield reader.line_num, _encoded(row)


def _encoded(row: dict[str | Any, Any]) -> bytes | BadRow:
    if None in row or None in row.values():
        return _bad((None, FIELDS_DIFFER))
    wrong: list[Wrong] = []
    body = json.dumps(_user(row, wrong)).encode()
    return _bad(*wrong, rest=body) if wrong else body


def _bad(*wrong: Wrong, rest: bytes | None = None) -> BadRow:
    from services.login_gateway.import_faults import Fault, faults  # slow to load, and seldom needed

    found = [Fault("bad-row", detail, field) for field, detail in wrong]
    return BadRow(found if rest is None else [*found, *faults(rest, {field for field, _ in wrong})])


def _user(row: dict[str, str], wrong: list[Wrong]) -> dict[str, Any]:
    """What is right of the row; the rest goes to `wrong`."""
    given = {name: value for name, value in row.items() if value != ""}
    user: dict[str, Any] = {name: value for name, value in given.items() if name in TEXTS}
    for name in (name for name in READ if name in given):
        read, must_be = READ[name]
        try:
            value = read(given[name])
        except (ValueError, KeyError, RecursionError):
            wrong.append((_field(name), f"{name} must be {must_be}"))
            continue
        if name in FACTORS:
            user.setdefault("two_factor", {})[FACTORS[name]] = value
        else:
            user[name] = value
    return user


def _field(name: str) -> str:
    return f"two_factor.{FACTORS[name]}" if name in FACTORS else name


def _flag(text: str) -> bool:
    return FLAGS[text.strip().lower()]


def _claims(text: str) -> Any:
    found = json.loads(text)
    json.dumps(found)  # what nests too deep to be written cannot be used either
    return found


SWITCH: Final = (_flag, "true or false; yes and no, on and off, 1 and 0 will do too.")
READ: Final[dict[str, tuple[Callable[[str], Any], str]]] = {
    "claims": (_claims, 'a JSON object, like {"plan": "pro"}.'),
    "disabled": SWITCH,
    **dict.fromkeys(FACTORS, SWITCH),
}
"""Columns that hold no text: how each is read, and what it must be."""
