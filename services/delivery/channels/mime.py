"""An e-mail's bytes (RFC 5322, RFC 2045): seven bits, short lines, text beside HTML.

The classes of Python's older `compat32` policy: those of the present one parse each header again as it is set, which
takes four times as long and is half of what an e-mail costs.
"""

import binascii
from email.charset import QP, Charset
from email.header import Header
from email.message import Message as Part
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import compat32
from email.utils import formataddr, formatdate
from typing import Final

from services.delivery.provider import Message

CRLF: Final = compat32.clone(linesep="\r\n")
LONGEST_LINE: Final = 900  # RFC 5322, 2.1.1: 998
LONGEST_HEADER: Final = 76
WORDS: Final = Charset("utf-8")
WORDS.header_encoding = QP


def message_id(sender: str, message: Message) -> str:
    return f"<{message.delivery_id}@{sender.rpartition('@')[2]}>"


def mail(sender: str, message: Message) -> bytes:
    """Text and HTML, from a machine that wants no answer of another (RFC 3834; the second header is Exchange's).

    Raises `ValueError` for a value that would begin another header.
    """
    for given in (message.sender, message.to, message.subject, message.locale):
        if given is not None and ("\n" in given or "\r" in given):
            raise ValueError("a header's value holds a CR or LF")
    text = _part(message.text, "plain")
    whole = text if message.html is None else MIMEMultipart("alternative", None, (text, _part(message.html, "html")))
    headers = {
        "From": _from(message.sender, sender),
        "To": message.to,
        "Subject": _words(message.subject),
        "Date": formatdate(usegmt=True),
        "Message-ID": message_id(sender, message),
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    if message.locale is not None:
        headers["Content-Language"] = message.locale
    for name, value in headers.items():
        whole[name] = value
    return whole.as_bytes(policy=CRLF)


def _part(said: str, subtype: str) -> Part:
    part = MIMENonMultipart("text", subtype, charset="utf-8")
    plain = said.isascii() and max(map(len, said.splitlines()), default=0) <= LONGEST_LINE
    part["Content-Transfer-Encoding"] = "7bit" if plain else "quoted-printable"
    part.set_payload(said if plain else binascii.b2a_qp(said.encode(), istext=True).decode())
    return part


def _from(name: str | None, address: str) -> str:
    if not name:
        return address
    return formataddr((name, address)) if name.isascii() else f"{_words(name)} <{address}>"


def _words(value: str) -> str:
    """As it is, or as encoded words of at most 75 characters (RFC 2047)."""
    return value if value.isascii() else Header(value, WORDS, LONGEST_HEADER, "Subject").encode()
