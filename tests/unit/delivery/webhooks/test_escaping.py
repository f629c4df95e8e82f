"""Whatever a value holds, it arrives as it is, and nothing else does."""

import base64
import json
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Official

from deploy.local.webhooks import new_secret
from services.delivery.channels.webhooks.rendering import NotToBeWritten, compiled
from services.delivery.channels.webhooks.signing import Secret

TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
JSON: Final = compiled(
    "https://a.example/x/{{ to }}?t={{ text }}", {"X": "{{ to }}"}, '{"{{ to }}": "{{ text }}"}', False
)
WITH_HEADER: Final = compiled("https://a.example/", {"X": "a {{ to }}"}, "{}", False)
FORM: Final = compiled("https://a.example/", {}, "to={{ to }}&\n text={{ text }}", True)


@given(TEXT, TEXT)
def test_json_and_forms_hold_exactly_the_values(to: str, text: str):
    values = {"to": to, "text": text}
    assert json.loads(JSON.body.render(values)) == {to: text}
    written = FORM.render(values).body.decode()
    assert parse_qsl(written, keep_blank_values=True, strict_parsing=True) == [("to", to), ("text", text)]


@given(TEXT, TEXT)
def test_an_address_leads_to_the_same_place(to: str, text: str):
    try:
        found = urlsplit(JSON.url.render({"to": to, "text": text}))
    except NotToBeWritten:
        assert not to.strip(".") or not text.strip(".")
        return
    assert (found.scheme, found.netloc, found.path.count("/"), found.fragment) == ("https", "a.example", 2, "")
    assert unquote(found.path).removeprefix("/x/") == to
    assert unquote(found.query) == f"t={text}"


@given(TEXT)
def test_a_header_is_one_line_or_nothing(value: str):
    try:
        [found] = (
            compiled("https://a.example/", {"X": "a {{ to }}"}, "{}", False).render({"to": value}).headers.values()
        )
    except NotToBeWritten:
        assert not (value.isascii() and value.isprintable())
        return
    assert found == f"a {value}".strip()
    assert found.isascii()
    assert "\n" not in found
    assert "\r" not in found


@given(st.binary(min_size=24, max_size=64), TEXT, st.integers(1, 4_000_000_000))
def test_signatures_are_those_of_the_schemes_own_package(key: bytes, body: str, at: int):
    text = "whsec_" + base64.b64encode(key).decode()
    mine = Secret(text).headers("msg_1", at, body.encode())
    assert mine["webhook-signature"] == Official(text).sign("msg_1", datetime.fromtimestamp(at, UTC), body)
    assert Secret(text).is_genuine(mine, at, body.encode())
    assert not Secret(new_secret()).is_genuine(mine, at, body.encode())


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_AAAA", "x" * 44, "whsec_" + "A" * 100, "whsec_" + "!" * 44])
def test_what_is_no_secret_is_refused_without_being_shown(text: str):
    with pytest.raises(ValueError, match="not `whsec_`") as refused:
        Secret(text)
    assert not text.removeprefix("whsec_") or text not in str(refused.value)
