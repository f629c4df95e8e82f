"""Policy for the contract: each rule is a few lines, with its reason in the name."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas import codec, events, generate, topics
from tests.contract import released

HERE = Path(generate.__file__).parent
EXAMPLES = sorted((HERE / "examples").glob("*/*.json"))
LAST = released.newest(HERE / "released")
NEW_SINCE_RELEASE: frozenset[str] = frozenset()
SECRET_WORDS = {"phone", "mobile", "email", "mail", "username", "password", "secret", "token", "code", "otp", "pin"}
NO_SECRET = {
    "code_key_id": "which day's key makes the code; the key itself is in a file",
    "secret_hash": "of 128 or 256 random bits: nobody turns it back",
}


def test_generated_files_are_what_the_code_says():
    assert generate.outdated() == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_example_ever_committed_still_decodes_on_its_topic(path):
    event = codec.decode(path.read_bytes())
    assert type(event).__name__ == path.parent.name
    assert codec.decode_for(topics.topic_of(event).name, codec.encode(event)) == event


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_todays_examples_satisfy_the_last_released_schema(path):
    if path.parent.name not in NEW_SINCE_RELEASE:
        jsonschema.validate(json.loads(path.read_text()), json.loads((LAST / f"{path.parent.name}.json").read_text()))


def test_every_event_was_released_or_is_named_as_new():
    """A released event that is gone, or a released schema that is missing, would let a breaking change through."""
    was = {path.stem for path in LAST.glob("*.json")}
    now = {event.__name__ for event in events.EVENTS}
    assert was - now == set()
    assert now - was == NEW_SINCE_RELEASE


def test_every_event_has_examples_words_and_exactly_one_topic():
    on_topics = [event for topic in topics.TOPICS for event in topic.events]
    assert sorted(e.__name__ for e in on_topics) == sorted(e.__name__ for e in events.EVENTS)
    for event in events.EVENTS:
        assert event.__doc__, event
        assert len(list((HERE / "examples" / event.__name__).glob("*.json"))) >= 2


@pytest.mark.parametrize("event", events.EVENTS)
def test_no_field_is_named_like_a_secret_or_a_contact(event):
    for name in field_names(generate.schema_of(event)) - NO_SECRET.keys():
        assert not {word.removesuffix("s") for word in name.split("_")} & SECRET_WORDS, name


def field_names(schema: Any) -> set[str]:
    """Of the event and of what it holds."""
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", ())).union(*(field_names(part) for part in schema.values()))


def test_unknown_fields_are_ignored_so_that_producers_may_add_some():
    data = json.loads(EXAMPLES[0].read_text()) | {"added_in_2030": True}
    assert codec.decode(json.dumps(data).encode()) == codec.decode(EXAMPLES[0].read_bytes())


def test_what_decides_about_sessions_and_clients_is_signed():
    assert {e.__name__ for e in topics.SIGNED} == {"Verified", "ExpireAll", "SessionPolicyChanged", "ClientChanged"}


def test_services_write_only_the_topics_that_are_theirs():
    rights = topics.rights()
    assert rights["delivery"]["write"] == {"email-fallbacks", "delivery-outcomes", "dead-letters"}
    assert rights["session-store"]["write"] == {"session-events", "dead-letters"}
    assert rights["dashboard"]["write"] == set()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xfe", "not-json"),
        (b"[1, 2]", "invalid"),
        (b'{"type": "Unheard", "id": "1", "account_id": "a"}', "unknown-type"),
        (b'{"type": "LoginClosed", "id": "1"}', "invalid"),
        (b'{"type": "LoginClosed", "id": "\xff"}', "not-json"),
        (b'{"type": "Unheard", "id": "1", "account_id": "\xff"}', "invalid"),
        (b" " * (1024 * 1024 + 1), "too-large"),
        (b'{"a":' * 100_000, "not-json"),
    ],
)
def test_bad_bytes_have_a_reason_and_never_a_value(data, reason):
    with pytest.raises(codec.BadEvent) as caught:
        codec.decode(data)
    assert caught.value.reason == reason


def test_a_wrong_type_names_the_field_and_not_its_content():
    data = json.loads((HERE / "examples/Verified/v1-1.json").read_text()) | {"user_epoch": "+442079460958"}
    with pytest.raises(codec.BadEvent, match="user_epoch") as caught:
        codec.decode(json.dumps(data).encode())
    assert "2079" not in str(caught.value)


def test_an_event_of_another_topic_is_refused():
    with pytest.raises(codec.BadEvent, match="wrong-topic"):
        codec.decode_for(topics.LOGINS.name, (HERE / "examples/Verified/v1-1.json").read_bytes())
