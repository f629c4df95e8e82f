"""A request out of templates. Every value in it is escaped for its place: in JSON for a string, in a form and in an
address by percent signs; a header takes no line end.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, quote_plus

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.delivery.provider import Message

HEADER: Final = re.compile(r"[\t -~]*")
ADDRESS: Final = re.compile(r"[!-~]+")
# What a template may name, for each message; `secrets` beside.
VALUES: Final = ("to", "text", "subject", "html", "sender", "locale", "id", "token", "receipts_url")


class NotToBeWritten(ValueError):
    """A value does not fit where it should stand."""


class Request(NamedTuple):
    url: str
    headers: dict[str, str]
    body: bytes


class Parts(NamedTuple):
    """The places of a request, each compiled for what stands there."""

    url: jinja2.Template
    headers: Mapping[str, jinja2.Template]
    body: jinja2.Template
    form: bool

    def render(self, values: Mapping[str, Any]) -> Request:
        """Raises `NotToBeWritten`."""
        headers = {name: header(template.render(values)) for name, template in self.headers.items()}
        return Request(address(self.url.render(values)), headers, body(self.body.render(values), self.form))


def values_of(message: Message, sender: str, receipts_url: str) -> dict[str, Any]:
    """What is missing is an empty text."""
    given = (message.to, message.text, message.subject, message.html, sender, message.locale)
    named = zip(VALUES, (*given, message.delivery_id, message.token, receipts_url), strict=True)
    return {name: value or "" for name, value in named}


def compiled(url: str, headers: Mapping[str, str], body: str, form: bool) -> Parts:
    """Raises `jinja2.TemplateSyntaxError`."""
    written = {name: template_of(text, str) for name, text in headers.items()}
    escape = quote_plus if form else in_json
    return Parts(template_of(url, in_address), written, environment(escape).from_string(body), form)


def template_of(text: str, escape: Callable[[str], str]) -> jinja2.Template:
    return environment(escape).from_string(text)


def environment(escape: Callable[[str], str]) -> jinja2.Environment:
    return ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # not HTML: `finalize` escapes each value for its place, and no filter turns it off
        finalize=lambda value: escape(str(value)),
        keep_trailing_newline=True,
    )


def in_json(value: str) -> str:
    return json.dumps(value)[1:-1]


def in_address(value: str) -> str:
    """Dots alone would be steps of a path."""
    if value.strip(".") == "" and value:
        raise NotToBeWritten("only dots")
    return quote(value, safe="")


def address(rendered: str) -> str:
    if not ADDRESS.fullmatch(rendered):
        raise NotToBeWritten("the address holds more than ASCII without spaces")
    return rendered


def header(rendered: str) -> str:
    if not HEADER.fullmatch(rendered):
        raise NotToBeWritten("a header takes one line of ASCII")
    return rendered.strip()


def body(rendered: str, form: bool) -> bytes:
    """A form may be written over several lines."""
    text = "".join(line.strip() for line in rendered.splitlines()) if form else rendered.strip()
    return text.encode()
