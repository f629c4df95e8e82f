"""An e-mail as it is handed to a mail server."""

from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest

from services.delivery.channels.smtp import _mail
from services.delivery.provider import Message

HTML = "<p>Prüfcode 123456</p>"


def made(**more: Any) -> Any:
    fields: dict[str, Any] = {
        "subject": "Ihr Code — é",
        "text": "Prüfcode 123456\n",
        "html": HTML,
        "locale": "de",
    } | more
    raw = _mail("codes@gatepost.example", Message("id-1", "ada@example.com", **fields)).as_bytes()
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


def test_without_one_the_address_stands_alone():
    assert made()["From"] == "codes@gatepost.example"
    assert made(html=None).get_content_type() == "text/plain"


def test_no_name_can_add_a_header():
    with pytest.raises(ValueError, match=r"CR or LF|linefeed"):
        made(sender="A\r\nBcc: x@example.com")
