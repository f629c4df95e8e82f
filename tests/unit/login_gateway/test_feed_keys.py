"""Who signed a record on `logins`."""

import re
from pathlib import Path
from typing import Any

import pytest

from services.login_gateway.feed_keys import matches, parsed, public_key
from tests.feeding import signature

PAGE = (Path(__file__).parents[3] / "docs/feeds.md").read_text()
SECRET = "a-secret-of-a-client-that-nobody-else-knows"
VALUE = b'{"type": "LoginFed"}'


def signed(value: bytes = VALUE, secret: str = SECRET) -> bytes:
    found = parsed(signature("cl_1", secret, value))
    assert found is not None
    assert found.client_id == "cl_1"
    return found.value


def test_a_platform_that_follows_the_page_is_believed():
    assert matches(public_key(SECRET), signed(), VALUE)


def test_another_secret_another_value_or_another_purpose_is_not():
    assert not matches(public_key(SECRET), signed(secret="x"), VALUE)
    assert not matches(public_key(SECRET), signed(VALUE + b" "), VALUE)
    assert not matches(public_key("x"), signed(), VALUE)


def test_every_bit_of_a_signature_counts():
    good = signed()
    for place in range(0, 64, 9):
        bad = bytearray(good)
        bad[place] ^= 1
        assert not matches(public_key(SECRET), bytes(bad), VALUE)


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b":",
        b"cl_1",
        b"cl_1:",
        b"cl_1:AAAA",
        b"cl_1:" + b"A" * 400,
        b"\xff:" + b"A" * 86,
        b"c\x00:" + b"A" * 86,
    ],
)
def test_what_is_no_header_is_none(header: bytes | None):
    assert parsed(header) is None


def test_base64_may_be_padded_or_not():
    unpadded = signature("cl_1", SECRET, VALUE)
    assert parsed(unpadded) == parsed(unpadded + b"==")


def test_the_lines_of_the_page_sign_as_the_gateway_checks():
    (lines,) = re.findall(r"```python\n(.*?)await producer", PAGE, re.DOTALL)
    given: dict[str, Any] = {"secret": SECRET, "client_id": "cl_1", "value": VALUE}
    exec(lines, given)  # noqa: S102 - our own page
    found = parsed(given["header"])
    assert found is not None
    assert matches(public_key(SECRET), found.value, VALUE)
