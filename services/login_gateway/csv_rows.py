"""Users as rows of a CSV file: the same for the command line and for the console."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

FLAGS: Final = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
TEXTS: Final = frozenset(
    ("username", "external_id", "password", "password_hash", "name", "phone", "email", "role", "kind", "locale")
)
FACTORS: Final = {"two_factor_sms": "sms", "two_factor_email": "email"}
COLUMNS: Final = TEXTS | FACTORS.keys() | {"disabled", "claims"}


class BadRow(ValueError):
    """A CSV row that is no user; the text says why."""


def header_problem(header: Sequence[str]) -> str:
    """What is wrong with the names of the columns; empty where nothing is."""
    unknown = sorted(set(header) - COLUMNS)
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    problem = f"unknown columns {', '.join(unknown)}" if unknown else ""
    problem = problem or (f"the header names {', '.join(twice)} twice" if twice else "")
    return problem or ("" if "username" in header else "there is no column username")


def rows(text: Iterable[str]) -> Iterator[tuple[int, bytes | BadRow]]:
    """Each user as a JSON object, with the number of its last line; the first row names the columns."""
    reader = csv.DictReader(text, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as bad:
            yield reader.line_num, BadRow(f"This is not CSV: {bad}.")
            continue
        yield reader.line_num, _encoded(row)


def _encoded(row: dict[str | Any, Any]) -> bytes | BadRow:
    try:
        return json.dumps(_user(row)).encode()
    except BadRow as bad:
        return bad
    except RecursionError:
        return BadRow("claims are nested too deep.")


def _user(row: dict[str | Any, Any]) -> dict[str, Any]:
    if None in row or None in row.values():
        raise BadRow("The row has more or fewer fields than the header.")
    given = {name: value for name, value in row.items() if value != ""}
    user: dict[str, Any] = {name: value for name, value in given.items() if name in TEXTS}
    if "disabled" in given:
        user["disabled"] = _flag("disabled", given["disabled"])
    if factors := {short: _flag(name, given[name]) for name, short in FACTORS.items() if name in given}:
        user["two_factor"] = factors
    if "claims" in given:
        user["claims"] = _claims(given["claims"])
    return user


def _flag(name: str, text: str) -> bool:
    try:
        return FLAGS[text.strip().lower()]
    except KeyError:
        raise BadRow(f"{name} must be true or false.") from None


def _claims(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise BadRow("claims must be a JSON object.") from None
