"""What a body that does not fit is told: JSON's names for types, and the values that a field takes."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec.inspect as types

JSON_NAMES: Final = {"str": "string", "int": "whole number", "float": "number", "bool": "true or false"}
QUOTED: Final = re.compile(r"`([a-z]+(?: \| [a-z]+)*)`")
REGEX: Final = re.compile(r"Expected `str` matching regex (['\"])(.*)\1(?= - at |$)")
COUNTRY: Final = "two capital letters (ISO 3166-1), like GB"
FORMS: Final = {
    r"^[A-Z]{2}$": COUNTRY,
    r"^[A-Z0-9]{2,3}$": COUNTRY,
    r"^[A-Za-z0-9:._-]*$": "letters, digits, colons, dots, dashes and underscores",
    r"^[^\x00-\x1f]*$": "one line of text",
}
INSTANT: Final = "Invalid RFC3339 encoded datetime"
STEP: Final = re.compile(r"\.(\w+)|\[(?:\d+|\.\.\.)\]")


def told(text: str, kind: Any) -> str:
    """msgspec's words without what was sent: a bad value could be a secret in a wrong place."""
    if text.startswith("Invalid enum value"):
        place = text.partition(" - at ")[2].strip("`")
        return f"Invalid value{_choice(kind, place)}" + (f" - at `{place}`" if place else "")
    if text.startswith(INSTANT):
        return text.replace(INSTANT, "Expected an instant like 2026-03-01T12:00:00Z", 1)
    bad = REGEX.search(text)
    if bad and (form := FORMS.get(bad[2].replace("\\\\", "\\"))):
        return text.replace(bad[0], f"Expected {form}", 1)
    return QUOTED.sub(lambda found: f"`{_json_names(found[1])}`", text)


def _json_names(names: str) -> str:
    return " | ".join(JSON_NAMES.get(name, name) for name in names.split(" | "))


def _choice(kind: Any, place: str) -> str:
    found = sorted({value for part in _at(types.type_info(kind), place) for value in _values(part)})
    return f": one of {', '.join(found)}" if found else ""


def _at(kind: types.Type, place: str) -> Iterator[types.Type]:
    """What may stand at a place like `$.scopes[0]`."""
    step = STEP.search(place)
    if step is None:
        yield from _alternatives(kind)
        return
    for part in _alternatives(kind):
        for inner in _inside(part, step[1]):
            yield from _at(inner, place[step.end() :])


def _alternatives(kind: types.Type) -> tuple[types.Type, ...]:
    return kind.types if isinstance(kind, types.UnionType) else (kind,)


def _inside(kind: types.Type, field: str | None) -> list[types.Type]:
    match kind:
        case types.StructType():
            return [one.type for one in kind.fields if one.encode_name == field]
        case types.CollectionType():
            return [kind.item_type]
        case types.DictType():
            return [kind.value_type]
        case _:
            return []


def _values(kind: types.Type) -> list[str]:
    match kind:
        case types.LiteralType():
            return [str(value) for value in kind.values]
        case types.EnumType():
            return [str(one.value) for one in kind.cls]
        case _:
            return []
