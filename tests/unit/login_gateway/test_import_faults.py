"""What a line of an import is told that cannot be taken: all of it, in words, and nothing of what was sent."""

import json
from typing import Any

import msgspec
import pytest

from services.login_gateway.csv_rows import BadRow, rows
from services.login_gateway.import_faults import RESTS_ON, WANTED, faults
from services.login_gateway.imports import Result
from services.login_gateway.users import NewUser
from services.platform.openapi import lines_of

SECRET = "geheim-4711"


def told(line: Any) -> list[tuple[str | None, str]]:
    sent = line if isinstance(line, bytes) else json.dumps(line).encode()
    return [(fault.field, fault.detail) for fault in faults(sent)]


def test_all_that_is_wrong_with_a_line_is_told_at_once_each_with_its_field():
    line = {"phone": "12", "email": "anna", "password": "short", "role": "king", "kind": "integration", "locale": "?"}
    assert [field for field, _ in told(line)] == ["role", "username", "phone", "email", "locale", "password"]


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        (b"{not json", None, "This line is not JSON. Write one user a line, like {"),
        (b"[1]", None, "This line is no JSON object. Write one user a line"),
        (b"[" * 100_000, None, "This line is not JSON."),
        ({}, "username", "username is missing: every user has one."),
        ({"username": 5}, "username", 'username must be text, like "anna".'),
        ({"username": "x", "colour": "red"}, None, "colour is not known. There are: username, external_id, password"),
        ({"username": "x", "role": "king"}, "role", "role must be user, admin or operator."),
        ({"username": "x", "kind": None}, "kind", "kind must be person or integration."),
        ({"username": "x", "disabled": "no"}, "disabled", "disabled must be true or false, without quotes."),
        ({"username": "x", "phone": 447400123456}, "phone", 'phone must be text with the country code, like "+44'),
        ({"username": "x", "phone": "07400 123456"}, "phone", "Write it with its country code, like +44 20 7946 0958."),
        ({"username": "x", "email": "x"}, "email", "@-sign. Write it like anna@example.com."),
        ({"username": "x", "claims": [1]}, "claims", 'claims must be an object, like {"plan": "pro"}.'),
        ({"username": "x", "two_factor": True}, "two_factor", 'two_factor must be an object, like {"sms": true'),
        ({"username": "x", "two_factor": {"sms": 1}}, "two_factor.sms", "two_factor.sms must be true or false"),
        (
            {"username": "x", "two_factor": {"pigeon": 1}},
            None,
            "two_factor.pigeon is not known. There are: two_factor.sms",
        ),
        ({"username": "x", "two_factor": {"sms": True}}, "two_factor.sms", "add one, or switch it off"),
        ({"username": "x", "role": "admin"}, "two_factor", "switch on SMS or e-mail too"),
        ({"username": "x", "password": "a" * 9}, "password", "too easy to guess"),
        ({"username": "x", "password_hash": "x"}, "password_hash", "This is not an argon2"),
    ],
)
def test_each_fault_says_which_field_and_what_to_write_instead(line: Any, field: str | None, words: str):
    (found,) = told(line)
    assert found[0] == field
    assert words in found[1]


def test_what_only_follows_from_another_fault_is_not_told():
    assert [field for field, _ in told({"username": "x", "phone": 5, "two_factor": {"sms": True}})] == ["phone"]
    assert [field for field, _ in told({"username": "x", "role": "admin", "two_factor": {"sms": "yes"}})] == [
        "two_factor.sms"
    ]


def test_a_line_that_can_be_used_has_no_fault():
    line = {"username": "anna", "phone": "+44 7400 123456", "two_factor": {"sms": True}, "claims": {"plan": "pro"}}
    assert told(line) == []


def test_what_was_sent_is_never_repeated():
    for name in NewUser.__struct_fields__:
        for value in (SECRET, f"{SECRET}@", [SECRET], {SECRET: SECRET}, f" {SECRET}" * 100):
            assert SECRET not in str(told({"username": "x", name: value}))
    for misplaced in ("anna@example.com", "447400123456"):
        assert misplaced not in str(told({"username": "x", misplaced: 1}))


def test_every_field_says_what_it_wants():
    assert WANTED.keys() == {*NewUser.__struct_fields__, "two_factor.sms", "two_factor.email"}
    assert {field for fields in RESTS_ON.values() for field in fields} <= WANTED.keys()


def test_a_row_of_a_csv_file_is_told_all_that_is_wrong_too():
    header = "username,phone,two_factor_sms,two_factor_email,role,disabled,claims\n"
    (_, bad), (_, good), (_, few) = rows([header, "x,12,perhaps,maybe,admin,2,[\n", "y,,,,,,\n", "z\n"])
    assert isinstance(bad, BadRow)
    assert isinstance(few, BadRow)
    named = [(fault.field, fault.error) for fault in bad.faults]
    assert named == [
        ("claims", "bad-row"),
        ("disabled", "bad-row"),
        ("two_factor.sms", "bad-row"),
        ("two_factor.email", "bad-row"),
        ("phone", "bad-phone"),
    ]
    assert bad.faults[2].detail.startswith("two_factor_sms must be true or false; yes and no")
    assert good == b'{"username": "y"}'
    assert "a comma too many or too few" in few.faults[0].detail


def test_the_answer_to_a_line_is_described_whole():
    schema = lines_of(Result)
    assert "$ref" not in json.dumps(schema)
    assert set(schema["properties"]) == set(Result.__struct_fields__)
    assert msgspec.json.schema(Result)["$defs"].keys() > {"Result"}
