"""An event holds only what can be stored and compared: instants with an offset, numbers and texts with an end."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from schemas import codec, generate, topics
from schemas.events import EVENTS, EXACT, LoginFed

EXAMPLES = Path(generate.__file__).parent / "examples"
NAIVE = "2026-11-24T09:30:00"
TOO_LARGE = (-1, EXACT + 1, 2**63, 10**400, 1.5, True, "1")
INSTANTS = (NAIVE, "2026-11-24", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", 1764000000, "", "now")


def example(kind: str, **changed: Any) -> bytes:
    return json.dumps(json.loads((EXAMPLES / kind / "v1-1.json").read_text()) | changed).encode()


def refused(kind: str, field: str, value: Any) -> None:
    with pytest.raises(codec.BadEvent, match=rf"invalid: `\$\.{field}") as caught:
        codec.decode(example(kind, **{field: value}))
    assert caught.value.reason == "invalid"


@pytest.mark.parametrize("value", INSTANTS)
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("LoginFed", "authenticated_at"),
        ("LoginChallenged", "issued_at"),
        ("LoginChallenged", "expires_at"),
        ("EmailFallbackRequested", "expires_at"),
        ("Verified", "issued_at"),
        ("Verified", "auth_time"),
        ("SessionPolicyChanged", "effective_at"),
        ("CodeSent", "time"),
        ("LoginClosed", "time"),
    ],
)
def test_an_instant_without_offset_or_without_utc_is_refused(kind: str, field: str, value: Any):
    refused(kind, field, value)


@pytest.mark.parametrize("value", TOO_LARGE)
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("LoginChallenged", "account_epoch"),
        ("LoginChallenged", "user_epoch"),
        ("LoginChallenged", "code_key_id"),
        ("LoginChallenged", "digits"),
        ("LoginChallenged", "version"),
        ("CodeSent", "ms_since_login"),
        ("Verified", "account_epoch"),
        ("ExpireAll", "floor"),
        ("SessionPolicyChanged", "max_age"),
        ("ClientChanged", "revision"),
    ],
)
def test_a_number_beyond_its_meaning_is_refused(kind: str, field: str, value: Any):
    refused(kind, field, value)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("LoginChallenged", "digits", 5),
        ("LoginChallenged", "digits", 11),
        ("LoginChallenged", "code_key_id", 256),
        ("SessionPolicyChanged", "max_age", 0),
        ("SessionPolicyChanged", "max_age", 365 * 86_400 + 1),
        ("ClientChanged", "revision", 0),
    ],
)
def test_a_number_is_held_to_what_its_field_means(kind: str, field: str, value: int):
    refused(kind, field, value)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("LoginChallenged", "id", ""),
        ("LoginChallenged", "user_id", "u" * 65),
        ("LoginChallenged", "cause", "fallback:" * 20),
        ("LoginChallenged", "sealed", "A" * 4097),
        ("LoginChallenged", "sealed", "not/base64url+"),
        ("LoginChallenged", "channels", []),
        ("LoginChallenged", "channels", ["sms", "email", "sms"]),
        ("LoginChallenged", "country", "GBRX"),
        ("LoginChallenged", "masked", {"sms": "•" * 321}),
        ("LoginChallenged", "context", {"locale": "x" * 513}),
        ("LoginFed", "reference", ""),
        ("LoginFed", "reference", "r" * 129),
        ("LoginFed", "context", {"user_agent": "x" * 513}),
        ("LoginRefused", "reason", "x" * 129),
        ("Verified", "secret_hash", "AAAA"),
        ("Verified", "secret_hash", "!" * 24),
        ("Verified", "amr", []),
        ("Verified", "amr", ["pwd"] * 9),
        ("ClientChanged", "secret_hash", "A" * 24),
        ("ClientChanged", "scopes", ["s"] * 33),
    ],
)
def test_a_text_or_list_beyond_its_length_or_form_is_refused(kind: str, field: str, value: Any):
    refused(kind, field, value)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("Verified", "account_epoch", 0),
        ("Verified", "account_epoch", EXACT),
        ("LoginChallenged", "code_key_id", 0),
        ("LoginChallenged", "code_key_id", 255),
        ("LoginChallenged", "digits", 10),
        ("LoginChallenged", "issued_at", "2026-11-24T11:30:00+02:00"),
        ("LoginChallenged", "country", None),
        ("LoginChallenged", "cause", "fallback:replay:" + "r" * 64),
        ("SessionPolicyChanged", "max_age", 365 * 86_400),
    ],
)
def test_the_bounds_themselves_are_inside(kind: str, field: str, value: Any):
    codec.decode(example(kind, **{field: value}))


def test_every_instant_of_every_event_needs_its_offset_and_every_number_and_text_has_an_end():
    for event in EVENTS:
        for field in msgspec.structs.fields(event):
            assert field.type not in (str, int, str | None, int | None), f"{event.__name__}.{field.name}"
            assert "datetime" not in str(field.type) or "tz=True" in str(field.type), f"{event.__name__}.{field.name}"


@pytest.mark.parametrize(("kind", "field", "value"), [("ExpireAll", "floor", -1), ("Verified", "secret_hash", "AAAA")])
def test_the_published_schema_says_the_same(kind: str, field: str, value: Any):
    schema = json.loads((EXAMPLES.parent / "jsonschema" / f"{kind}.json").read_text())
    jsonschema.validate(json.loads(example(kind)), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(example(kind, **{field: value})), schema)


def test_a_fed_login_is_keyed_by_its_reference() -> None:
    event = codec.decode(example("LoginFed", user_id="0199aa00-0000-7000-8000-000000000001"))
    assert isinstance(event, LoginFed)
    assert topics.key_of(event) == event.reference.encode()
