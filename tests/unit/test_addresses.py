"""E-mail addresses as SMTP takes them."""

import pytest

from services.platform.keys.contacts import BadContact, parse_email


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Ada@Example.COM", "Ada@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("a+b@example.com", "a+b@example.com"),
    ],
)
def test_what_is_kept_can_be_mailed_to(written: str, kept: str) -> None:
    assert parse_email(written) == kept
    kept.encode("ascii")


def test_an_international_mailbox_is_refused_with_the_reason() -> None:
    with pytest.raises(BadContact, match="before the @-sign are not supported"):
        parse_email("äda@example.com")
