"""`python -m schemas.generate [--check]`: JSON Schema and AsyncAPI from the structs and the topic table."""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from schemas.events import EVENTS, Event
from schemas.topics import TOPICS, Topic

HERE: Final = Path(__file__).parent
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
VERSION: Final = "0.1.0"


def schema_of(event: type[Event]) -> dict[str, Any]:
    """One event's JSON Schema, whole in itself. Unknown fields are allowed: consumers ignore them."""
    (ref,), parts = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
    own = parts.pop(ref["$ref"].rpartition("/")[2])
    head = {"$schema": DIALECT, "$id": f"urn:gatepost:event:{event.__name__}", "title": event.__name__}
    defs = {"$defs": parts} if parts else {}
    return {**head, **own, "description": _words(event), **defs}


def asyncapi() -> dict[str, Any]:
    """The topics as AsyncAPI 3.0: one channel each, with what is on it and how it is kept."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Gatepost topics",
            "version": VERSION,
            "license": {"name": "Apache-2.0"},
            "description": "Events as flat JSON. Unknown fields are ignored; a breaking change is a new type.",
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": dict(_operation(topic, way) for topic in TOPICS for way in ("send", "receive")),
        "components": {"messages": {event.__name__: _message(event) for event in EVENTS}},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    found = {"address": topic.name, "description": f"Key: {topic.key}. From {_list(topic.producers)}."}
    messages = {e.__name__: {"$ref": f"#/components/messages/{e.__name__}"} for e in topic.events}
    kept = topic.settings()
    config = {
        "cleanup.policy": [kept["cleanup.policy"]],
        "max.message.bytes": int(kept["max.message.bytes"]),
        **({"retention.ms": int(kept["retention.ms"])} if "retention.ms" in kept else {}),
    }
    binding = {"partitions": topic.partitions, "topicConfiguration": config, "bindingVersion": "0.5.0"}
    return {**found, "messages": messages, "bindings": {"kafka": binding}}


def _operation(topic: Topic, way: str) -> tuple[str, dict[str, Any]]:
    who = topic.producers if way == "send" else topic.consumers
    words = f"{_list(who)} {'write' if way == 'send' else 'read'} this topic."
    return f"{way}-{topic.name}", {
        "action": way,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": words,
    }


def _message(event: type[Event]) -> dict[str, Any]:
    payload = {"schemaFormat": "application/schema+json;version=draft-2020-12"}
    return {
        "name": event.__name__,
        "title": event.__name__,
        "summary": _words(event),
        "payload": {**payload, "schema": {"$ref": f"jsonschema/{event.__name__}.json"}},
    }


def _words(event: type[Event]) -> str:
    return re.sub(r"\s+", " ", event.__doc__ or "").strip()


def _list(names: tuple[str, ...]) -> str:
    return " and ".join(names)


def files() -> dict[Path, str]:
    """Every generated file with its content."""
    found = {
        HERE / "jsonschema" / f"{event.__name__}.json": json.dumps(schema_of(event), indent=1) + "\n"
        for event in EVENTS
    }
    document = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)
    return found | {HERE / "asyncapi.yaml": document}


def outdated() -> list[str]:
    """Names of the files that differ from what the code says."""
    return [
        str(path.relative_to(HERE)) for path, text in files().items() if not path.exists() or path.read_text() != text
    ]


def main() -> None:
    if "--check" in sys.argv[1:]:
        changed = outdated()
        sys.stdout.write("".join(f"{name} is outdated; run python -m schemas.generate\n" for name in changed))
        sys.exit(bool(changed))
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
