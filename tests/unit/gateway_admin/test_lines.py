from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.login_gateway.imports import LONGEST_LINE, lines
from services.login_gateway.users import Change, NewUser, Profile, fold


async def cut(*chunks: bytes):
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [(line.number, line.data) async for line in lines(stream())]


async def test_lines_are_the_same_however_the_stream_was_cut():
    text = b'{"a":1}\n\n{"b":2}\r\n{"c":3}'
    whole = await cut(text)
    assert [number for number, _ in whole] == [1, 3, 4]
    assert await cut(*(text[n : n + 1] for n in range(len(text)))) == whole


@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_a_line_over_the_limit_is_named_and_the_next_one_is_read(end):
    long = b"x" * (LONGEST_LINE + 1)
    assert await cut(b"a\n", long[:1000], long[1000:], b"yyy\nb" + end) == [(1, b"a"), (2, None), (3, b"b")]
    assert await cut(long) == [(1, None)]


def test_usernames_fold_by_compatibility_and_case():
    assert fold("Stra\u00dfe") == fold("STRASSE")
    assert fold("\uff21da") == fold("ada")


def test_only_role_kind_and_disabling_end_sessions():
    user = Profile.new(NewUser(username="ada"))
    ends: dict[str, Any] = {"role": "admin", "kind": "integration", "disabled": True}
    keeps: dict[str, Any] = {
        "phone": "+442079460101",
        "email": "a@example.com",
        "sms_on": True,
        "name": "A",
        "claims": {"a": 1},
    }
    for field, value in ends.items():
        assert Change.between(user, user._replace(**{field: value})).ends_sessions, field
    for field, value in keeps.items():
        assert not Change.between(user, user._replace(**{field: value})).ends_sessions, field
