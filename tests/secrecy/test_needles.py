"""The search itself: each form is found wherever it stands, and nothing else is."""

import base64
import gzip
import hashlib
import json
import os
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from tests.secrecy.needles import HASHED, Search, Secret
from tests.secrecy.pieces import CHUNK, PAGE, PAGE_HEAD, SEGMENT_HEAD, of_file, without_heads

PHONE = Secret("phone", "phone", "+449912345678901", "9912345678901")
NAME = Secret("name", "name", "Çy Ñame zvk")
KEY = Secret("key", "key", bytes(range(32)))
CODE = Secret("code", "code", "0123456789")


def found(data: bytes, *secrets: Secret) -> set[tuple[str, str]]:
    return {(hit.secret.name, hit.form) for hit in Search(secrets or (PHONE, NAME, KEY, CODE))(data)}


def noisy(data: bytes, place: int) -> bytes:
    return os.urandom(100) + bytes(place) + data + os.urandom(100)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("secret", [PHONE, NAME, KEY])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_found_at_every_place_in_a_longer_text(place, secret, encode):
    for more in range(3):
        text = encode(os.urandom(place) + secret.whole + os.urandom(more)).rstrip(b"=")
        assert (secret.name, "base64") in found(noisy(text, place))


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("as is", b"+449912345678901"),
        ("hex", b"+449912345678901".hex().encode()),
        ("hex", b"+449912345678901".hex().upper().encode()),
        ("utf-16", "+449912345678901".encode("utf-16-le")),
        ("utf-16", "+449912345678901".encode("utf-16-be")),
        ("url", b"".join(b"%%%02X" % byte for byte in b"+449912345678901")),
        ("json", b"".join(b"\\u%04x" % byte for byte in b"+449912345678901")),
        ("json", b"".join(b"\\\\u%04x" % byte for byte in b"+449912345678901")),
        ("md5 hex", hashlib.md5(b"+449912345678901", usedforsecurity=False).hexdigest().encode()),
        ("sha1 as is", hashlib.sha1(b"+449912345678901", usedforsecurity=False).digest()),
        ("sha256 hex", hashlib.sha256(b"+449912345678901").hexdigest().upper().encode()),
        ("sha256 hex", hashlib.sha256(b"449912345678901").hexdigest().encode()),
        ("sha256 base64", base64.b64encode(hashlib.sha256(b"+449912345678901").digest())),
        ("sha256 as is", hashlib.sha256(b"+449912345678901").digest()[:HASHED]),
    ],
)
def test_a_phone_is_found_in_every_form(form, data):
    for place in range(4):
        assert ("phone", form) in found(noisy(data, place))


def test_a_text_beyond_ascii_is_found_as_json_and_urls_write_it():
    assert ("name", "json") in found(json.dumps({"name": NAME.text}).encode())
    assert ("name", "json") in found(json.dumps(json.dumps({"name": NAME.text})).encode())
    assert ("name", "url") in found(b"/?q=" + quote_plus(str(NAME.text)).replace("+", "%20").encode())
    assert ("name", "as is") in found(str(NAME.text).upper().encode())
    assert ("name", "sha256 hex") in found(hashlib.sha256("çy ñame zvk".encode()).hexdigest().encode())


def test_what_is_no_secret_is_not_found():
    masked = "+44 •••• ••89, C•••, 4499, 2026-11-25T10:00:00Z".encode()
    assert not found(masked + os.urandom(1_000_000) + hashlib.sha256(b"another").hexdigest().encode())
    assert not found(gzip.compress(os.urandom(100) + PHONE.whole * 9))


@pytest.mark.parametrize(
    ("text", "is_code"),
    [(b"code=0123456789;", True), (b"0123456789", True), (b"90123456789", False), (b"01234567890", False)],
)
def test_a_code_counts_only_where_it_is_a_number_of_its_own(text, is_code):
    assert (("code", "as is") in found(text)) is is_code


def test_a_file_is_read_whole_without_its_holes(tmp_path: Path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(CHUNK * 20)
        file.seek(CHUNK - 5)
        file.write(PHONE.whole)  # across the end of a chunk
        file.seek(CHUNK * 19)
        file.write(KEY.whole)
    pieces = list(of_file("place", path))
    assert {name for piece in pieces for name, _ in found(piece.data)} == {"phone", "key"}
    assert sum(len(piece.data) for piece in pieces) < CHUNK * 3


def test_a_value_that_the_head_of_a_wal_page_cuts_in_two_is_found():
    content = bytearray(os.urandom(PAGE * 3))
    at = PAGE - SEGMENT_HEAD - 5
    content[at : at + len(PHONE.whole)] = PHONE.whole
    first, rest = bytes(content[: PAGE - SEGMENT_HEAD]), bytes(content[PAGE - SEGMENT_HEAD :])
    size = PAGE - PAGE_HEAD
    others = (os.urandom(PAGE_HEAD) + rest[n : n + size] for n in range(0, len(rest), size))
    segment = os.urandom(SEGMENT_HEAD) + first + b"".join(others)
    assert not found(segment, PHONE)
    assert found(without_heads(segment), PHONE) == {("phone", "as is")}
