"""The topics and their events as a page shows them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import schemas
from schemas.topics import SIGNED, Topic

SCHEMAS: Final = Path(str(schemas.__path__[0])) / "jsonschema"
DAY_MS: Final = 86_400_000


class Field(NamedTuple):
    name: str
    kind: str
    needed: bool


class Shown(NamedTuple):
    """An event of a topic."""

    name: str
    words: str
    signed: bool
    fields: list[Field]


class Channel(NamedTuple):
    name: str
    key: str
    written_by: str
    read_by: str
    kept: str
    partitions: int
    events: list[Shown]


def shown(topics: Iterable[Topic]) -> list[Channel]:
    return [
        Channel(
            topic.name,
            topic.key,
            ", ".join(topic.producers),
            ", ".join(topic.consumers),
            _kept(topic.retention_ms),
            topic.partitions,
            [event(kind.__name__, kind in SIGNED) for kind in topic.events],
        )
        for topic in topics
    ]


def _kept(retention_ms: int | None) -> str:
    if retention_ms is None:
        return "the newest of each key"
    days = retention_ms // DAY_MS
    return f"{days} day{'' if days == 1 else 's'}"


def event(name: str, signed: bool) -> Shown:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    needed = set(schema.get("required", ()))
    parts = schema.get("$defs", {})
    fields = [Field(field, kind_of(of, parts), field in needed) for field, of in schema["properties"].items()]
    return Shown(name, schema["description"].replace("`", ""), signed, fields)


def kind_of(schema: dict[str, Any], parts: dict[str, Any]) -> str:
    """A field's kind in a few words."""
    if "$ref" in schema:
        return kind_of(parts[schema["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in schema:
        return " or ".join(kind_of(each, parts) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    return _named(schema, parts)


def _named(schema: dict[str, Any], parts: dict[str, Any]) -> str:
    match schema.get("type"):
        case "object" if "properties" in schema:
            inner = (f"{name}: {kind_of(of, parts)}" for name, of in schema["properties"].items())
            return "{" + ", ".join(inner) + "}"
        case "array":
            items = schema.get("items", {})
            return f"list of {kind_of(items, parts)}" if items else "list"
        case None:
            return "anything"
        case kind:
            return str(schema.get("format") or schema.get("contentEncoding") or kind)
