"""Wording is judged when it is loaded: each template is rendered with example values, and what comes out has to fit."""

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, NamedTuple

import jinja2

from services.delivery.messages import gsm7
from services.delivery.messages.library import DEFAULT, SUBJECT, Library, paragraphs_of
from services.delivery.messages.plain import LINK
from services.delivery.messages.sources import CODE, LAYOUT, NAMES, BadTemplates, Source, read

LONGEST_CODE: Final = "0123456789"
LONGEST_MINUTES: Final = 10
LONGEST_ACCOUNT: Final = 30
LONGEST_SUBJECT: Final = 150
EXAMPLE_TIME: Final = "2026-11-25 14:03 UTC"
TAGS: Final = re.compile(
    "html|head|meta|title|body|table|tbody|t[rdh]|div|span|h[1-3]|p|strong|em|b|i|small|br|hr|[uo]l|li"
)
ATTRIBUTES: Final = re.compile(
    "lang|dir|role|charset|name|content|style|v?align|width|height|border|cell(padding|spacing)"
)
FETCHES: Final = re.compile(r"url\s*\(|@import|expression\s*\(|\\", re.IGNORECASE)


class Fault(NamedTuple):
    """What is wrong and what to do; `near` is a piece of the text by which its line is found."""

    near: str
    what: str


def load(folder: Path | None, host: str, default: str = DEFAULT) -> Library:
    """The built-in wording with an operator's own files in its place. Raises `BadTemplates` that names every fault."""
    library = Library(read(folder), default)
    if default not in library.locales.values():
        known = ", ".join(sorted(library.locales.values()))
        raise BadTemplates(f"GATEPOST_LOCALE: there is no wording in {default}. Choose one of {known}.")
    if faults := list(dict.fromkeys(_faults(library, host))):
        raise BadTemplates("\n".join(faults))
    return library


def bound(text: str, host: str, code: str) -> str:
    """An SMS whose last line binds the code to a host, so that phones fill it in there only.

    https://wicg.github.io/sms-one-time-codes/ (also read by iOS, and by browsers as WebOTP).
    """
    return f"{text}\n\n@{host} #{code}"


def examples(name: str, account: str) -> Iterator[dict[str, Any]]:
    """The longest values; once with all, once without what may be missing."""
    always: dict[str, Any] = {"account": account, "time": EXAMPLE_TIME}
    if name == CODE:
        always |= {"code": LONGEST_CODE, "minutes": LONGEST_MINUTES}
    yield always | {"greeting": "Dear reader,", "sign_off": "Your team", "device": "Firefox on Linux"}
    yield always | {"greeting": None, "sign_off": None, "device": None, **({"minutes": 1} if name == CODE else {})}


def sms_faults(text: str, name: str, host: str) -> Iterator[Fault]:
    """Of an SMS that was rendered with the longest values."""
    if name == CODE and LONGEST_CODE not in text:
        yield Fault("", "does not say the code. Write {{ code }} into it.")
    whole = bound(text, host, LONGEST_CODE) if name == CODE else text
    for letter in gsm7.foreign(whole):
        yield Fault(letter, f"holds {letter!r}, which the SMS alphabet (GSM-7) does not have. Write around it.")
    cost = gsm7.septets(whole)
    if cost > gsm7.SEGMENT:
        last = f", a code of ten digits and the last line for {host} included" if name == CODE else ""
        yield Fault("", f"takes {cost} of {gsm7.SEGMENT} characters{last}. Shorten it by {cost - gsm7.SEGMENT}.")
    yield from _link(text)


def _faults(library: Library, host: str) -> Iterator[str]:
    account = max(host, "A" * LONGEST_ACCOUNT, key=len)
    for tag in library.locales.values():
        yield from _of_layout(library, tag)
        for name in NAMES:
            for values in examples(name, account):
                yield from _of_sms(library, name, tag, values, host)
                yield from _of_mail(library, name, tag, values)


def _of_sms(library: Library, name: str, tag: str, values: Mapping[str, Any], host: str) -> Iterator[str]:
    source = library.source_of(f"{name}.sms.txt", tag)
    text = yield from _rendered(library, source, values)
    if text is not None:
        yield from _named(library.sources[source], sms_faults(text.strip(), name, host))


def _of_mail(library: Library, name: str, tag: str, values: Mapping[str, Any]) -> Iterator[str]:
    source = library.source_of(f"{name}.txt", tag)
    text = yield from _rendered(library, source, values)
    if text is not None:
        yield from _named(library.sources[source], _mail_faults(text.strip(), name))


def _of_layout(library: Library, tag: str) -> Iterator[str]:
    source = library.source_of(LAYOUT, tag)
    for code in (LONGEST_CODE, None):
        paragraphs = ["Hello", *([code] if code else []), "One line\nand another"]
        values = {"locale": tag, "subject": "Subject", "paragraphs": paragraphs, "code": code}
        html = yield from _rendered(library, source, values)
        if html is not None:
            yield from _named(library.sources[source], _html_faults(html, code))


def _rendered(library: Library, name: str, values: Mapping[str, Any]) -> Any:
    """The text, or None after the fault was told. Whatever a template does wrong is its author's to mend."""
    source = library.sources[name]
    try:
        return library.template(name).render(values)
    except jinja2.TemplateSyntaxError as bad:
        yield f"{bad.filename or source.path}:{bad.lineno}: {str(bad.message).rstrip('.')}. Mend the template."
    except jinja2.UndefinedError as bad:
        known = ", ".join(sorted(values))
        yield f"{source.path}:{_line(bad, source)}: {bad.message}. It may name {known}."
    except Exception as bad:
        yield f"{source.path}:{_line(bad, source)}: does not render ({type(bad).__name__}: {bad}). Mend the template."
    return None


def _line(error: Exception, source: Source) -> int:
    """Jinja puts the lines of templates into tracebacks."""
    trace, line = error.__traceback__, 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(source.path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _named(source: Source, faults: Iterator[Fault]) -> Iterator[str]:
    for fault in faults:
        lines = enumerate(source.text.splitlines(), 1)
        line = next((number for number, text in lines if fault.near and fault.near.lower() in text.lower()), 1)
        yield f"{source.path}:{line}: {fault.what}"


def _mail_faults(text: str, name: str) -> Iterator[Fault]:
    first, _, body = text.partition("\n")
    subject = first.removeprefix(SUBJECT).strip()
    if not first.startswith(SUBJECT) or not 0 < len(subject) <= LONGEST_SUBJECT:
        yield Fault("", f"has no subject. Begin it with a line `{SUBJECT} …` of 1 to {LONGEST_SUBJECT} characters.")
    if name == CODE and LONGEST_CODE in subject:
        yield Fault(SUBJECT, "shows the code in its subject, which mail servers log. Leave it to the text.")
    alone = paragraphs_of(body).count(LONGEST_CODE)
    if name == CODE and alone != 1:
        yield Fault("", "does not show the code. Let {{ code }} stand once between two empty lines.")
    yield from _link(text)


def _link(text: str) -> Iterator[Fault]:
    if found := LINK.search(text):
        yield Fault(found[0], "holds a link. Leave it out: people learn from it to follow those of others.")


def _html_faults(html: str, code: str | None) -> Iterator[Fault]:
    page = _Page()
    page.feed(html)
    page.close()
    yield from page.faults
    if code is not None and code not in html:
        yield Fault("", "does not show the code. Write {{ code }} where a paragraph equals it.")


class _Page(HTMLParser):
    """Nothing that could lead or fetch: listed elements, listed attributes, styles that stand inline."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Fault] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not TAGS.fullmatch(tag):
            self.faults.append(Fault(f"<{tag}", f"holds <{tag}>. An e-mail takes text, lists and tables."))
        for name, value in attrs:
            if not ATTRIBUTES.fullmatch(name):
                self.faults.append(Fault(f"{name}=", f"gives <{tag}> the attribute {name}. Leave it out."))
            elif found := FETCHES.search(value or ""):
                self.faults.append(Fault(found[0], f"loads something from elsewhere ({found[0]}). Leave it out."))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def unknown_decl(self, data: str) -> None:
        self.faults.append(Fault("<![", "holds a conditional part. Leave it out."))

    def handle_comment(self, data: str) -> None:
        self.faults.append(Fault("<!--", "holds a comment, which some mail programs run. Leave it out."))
