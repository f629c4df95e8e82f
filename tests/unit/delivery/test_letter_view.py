"""What is shown of an opened dead letter, and what is not."""

import pytest

from services.delivery.letter_view import DEEPEST, content_of, shown


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("login_id", "0197a0b0-0000-7000-8000-000000000000", "0197a0b0-0000-7000-8000-000000000000"),
        ("expires_at", "2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:00.123456Z"),
        ("acr", "urn:gatepost:acr:pwd+sms", "urn:gatepost:acr:pwd+sms"),
        ("user_epoch", 1_800_000_000_000, 1_800_000_000_000),
        ("masked", {"sms": "+44 •••• ••67"}, {"sms": "+44 •••• ••67"}),
        ("masked", "a•••@example.com", "a•••@example.com"),
        ("enabled", True, True),
        ("sealed", "A" * 212, "(sealed, 212)"),
        ("secret_hash", "AAAA", "(text, 4)"),
        ("user_id", "+447911123456", "(text, 13)"),
        ("user_id", "447911123456", "(text, 12)"),
        ("source", "somebody@example.com", "(text, 20)"),
        ("masked", {"sms": "+447911123456"}, {"sms": "(text, 13)"}),
        ("masked", "somebody@example.com", "(text, 20)"),
        ("masked", "+447911123456 •", "(text, 15)"),
        ("masked", "+44 7911 123456 •", "(text, 17)"),
        ("user_id", "+44-7911-123-456", "(text, 16)"),
        ("reason", "call:+44.7911.123456", "(text, 20)"),
        ("cause", "replay:0197a0b0-0000-7000-8000-000000000000", "replay:0197a0b0-0000-7000-8000-000000000000"),
        ("phone", 447911123456, "(number)"),
        ("user_id", 447911123456, "(number)"),
        ("account_id", [447911123456], ["(number)"]),
        ("digits", 6, 6),
        ("x", {"somebody@example.com": 1}, {"(name, 20)": "(number)"}),
        ("channels", ["sms", "email"], ["sms", "email"]),
        ("x", [1] * 101, "(list, 101)"),
    ],
)
def test_ids_instants_and_words_are_shown_and_everything_else_by_kind_and_length(name, value, seen):
    assert shown(name, value, DEEPEST) == seen


def test_nesting_ends():
    value: object = "x"
    for _ in range(50):
        value = [value]
    assert str(shown("x", value, DEEPEST)).count("[") == DEEPEST


@pytest.mark.parametrize(
    ("topic", "value", "problem"),
    [
        ("logins", b"", "empty"),
        ("logins", b"{not json", "not-json"),
        ("logins", b'{"type": "Nonsense", "id": "1", "source": "x", "account_id": "a"}', "unknown-type"),
        ("elsewhere", b"{}", "invalid: "),
        ("login-challenges", b'{"type": "LoginFed", "id": "1", "source": "x"}', "invalid: "),
    ],
)
def test_what_is_wrong_with_a_record_is_said_without_a_value_of_it(topic, value, problem):
    found = content_of(topic, b"signature", value)
    assert (found.size, found.signed) == (len(value), True)
    assert (found.problem or "").startswith(problem)
