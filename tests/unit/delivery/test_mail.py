"""An e-mail as it is handed to a mail server."""

from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import default
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.channels.mime import mail as written
from services.delivery.provider import Message

HTML = "<p>Prüfcode 123456</p>"


def made(**more: Any) -> Any:
    fields: dict[str, Any] = {
        "subject": "Ihr Code — é",
        "text": "Prüfcode 123456\n",
        "html": HTML,
        "locale": "de",
    } | more
    raw = written("codes@gatepost.example", Message("id-1", "ada@example.com", **fields))
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) < 999
    return message_from_bytes(raw, policy=default)


def test_it_has_text_and_html_and_says_that_a_machine_sent_it():
    mail = made()
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail.get_body(("plain",)).get_content() == "Prüfcode 123456\r\n"
    assert mail.get_body(("html",)).get_content().strip() == HTML
    assert mail["Subject"] == "Ihr Code — é"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert mail["Content-Language"] == "de"
    assert mail["Message-ID"] == "<id-1@gatepost.example>"
    assert mail["Date"].datetime.tzinfo is not None


@pytest.mark.parametrize("name", ["Example Security", "Müller & Söhne", 'A, B; C (D) "E"', "a" * 60])
def test_a_display_name_stands_before_the_address_and_changes_it_never(name):
    (sender,) = made(sender=name)["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, "codes@gatepost.example")


def test_a_long_name_is_several_encoded_words_of_which_each_is_short_enough():
    name = "Größenwahn & Söhne, seit 1871, für Türen und Tore"
    raw = written("codes@gatepost.example", Message("id-1", "ada@example.com", "Code", "123456", sender=name))
    value = message_from_bytes(raw)["From"]
    assert str(make_header(decode_header(value))) == f"{name} <codes@gatepost.example>"
    words = [word for word in value.split() if word.startswith("=?")]
    assert len(words) > 1
    assert max(map(len, words)) <= 75


def test_without_one_the_address_stands_alone():
    assert made()["From"] == "codes@gatepost.example"
    assert made(html=None).get_content_type() == "text/plain"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\n "])
@pytest.mark.parametrize("where", ["sender", "subject", "locale"])
def test_no_value_can_add_a_header(where, end):
    with pytest.raises(ValueError, match="CR or LF"):
        made(**{where: f"A{end}Bcc: x@example.com"})


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")))
def test_any_text_arrives_as_it_was_written(said):
    mail = made(text=said, html=said, subject="Code")
    for kind in ("plain", "html"):
        assert mail.get_body((kind,)).get_content().replace("\r\n", "\n") == said
