"""Webhooks are judged when they are loaded: each request is written with example values, kind ones and hostile ones."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import jinja2
from jinja2 import meta, nodes

from services.delivery.channels.webhooks.answers import PATH, Rule, texts
from services.delivery.channels.webhooks.files import BadWebhooks, Fault, Receipts, Source, Step, read
from services.delivery.channels.webhooks.rendering import (
    VALUES,
    NotToBeWritten,
    Parts,
    address,
    compiled,
    environment,
    header,
)
from services.delivery.settings import is_insecure

ORIGIN: Final = re.compile(r"(https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?)(?:[/?][^#]*)?", re.S)
WORD: Final = re.compile(r"[a-z][a-z-]{2,39}")
OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "idempotency-key",
        "te",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
BODY: Final[tuple[Step, ...]] = ("request", "body")
URL: Final[tuple[Step, ...]] = ("request", "url")
KIND: Final = {
    "to": "+4915112345678",
    "text": "Your code is 0123456789",
    "subject": "Your code",
    "html": "<p>0123456789</p>",
    "sender": "Gatepost",
    "locale": "de-AT",
    "id": "0195f2c4-8a5e-7000-8000-123456789abc",
    "token": "rc_example",
    "receipts_url": "https://codes.example.com/v1/receipts/this",
}
HOSTILE: Final = "\"'}],{\\\r\n&a=b;?#/../%00+ <{{ 7 }}>\u2028ü"


class Loaded(NamedTuple):
    """A webhook that was judged."""

    source: Source
    parts: Parts

    @property
    def name(self) -> str:
        return self.source.name


def load(folder: Path | None, local: bool) -> list[Loaded]:
    """Raises `BadWebhooks` that names every fault. `local`: plain HTTP, loopback and private addresses will do."""
    faults, found = list[str](), list[Loaded]()
    for source in read(folder) if folder is not None else ():
        if isinstance(source, str):
            faults.append(source)
            continue
        wrong = list(dict.fromkeys(source.told(fault) for fault in _faults(source, local)))
        faults += wrong
        if not wrong:
            found.append(Loaded(source, _parts(source)))
    if faults:
        raise BadWebhooks("\n".join(faults))
    return found


def _parts(source: Source) -> Parts:
    request = source.webhook.request
    return compiled(request.url, request.headers, request.body, request.format == "form")


def _faults(source: Source, local: bool) -> Iterator[Fault]:
    yield from _of_address(source, local)
    yield from _of_headers(source)
    yield from _of_rules(source.webhook.answer.errors, ("answer", "errors"))
    if source.webhook.receipts is not None:
        yield from _of_receipts(source.webhook.receipts)
    syntax = [*_of_syntax(source)]
    yield from syntax or _of_request(source)


def _of_address(source: Source, local: bool) -> Iterator[Fault]:
    url = source.webhook.request.url
    if not ORIGIN.fullmatch(url):
        yield Fault("write scheme and host out, like https://api.example.com/messages; no user, no #.", URL)
    elif not local and is_insecure(ORIGIN.fullmatch(url)[1]):  # type: ignore[index]
        why = "is without TLS, on loopback or on a private address"
        yield Fault(f"the address {why}. Give another, or allow it (GATEPOST_ALLOW_INSECURE=provider-loopback).", URL)


def _of_headers(source: Source) -> Iterator[Fault]:
    for name in source.webhook.request.headers:
        if name.lower() in OURS:
            yield Fault(f"the header {name} is written by Gatepost. Leave it out.", ("request", "headers", name))


def _of_rules(rules: tuple[Rule, ...], where: tuple[Step, ...]) -> Iterator[Fault]:
    for number, rule in enumerate(rules):
        here = (*where, number)
        if rule.status is None and rule.path is None:
            yield Fault("says neither status nor path: when is it this error?", (*here, "reason"))
        if rule.equals is not None and rule.path is None:
            yield Fault("what should equal this? Give a path.", (*here, "equals"))
        if rule.path is not None and not PATH.fullmatch(rule.path):
            yield Fault("a path is like errors.0.code.", (*here, "path"))
        if not WORD.fullmatch(rule.reason):
            yield Fault("a reason is a word of a-z and -, like bad-sender.", (*here, "reason"))


def _of_receipts(receipts: Receipts) -> Iterator[Fault]:
    yield from _of_rules(receipts.errors, ("receipts", "errors"))
    for number, rule in enumerate(receipts.errors):
        if rule.status is not None:
            yield Fault("a receipt has no HTTP status. Give path and equals.", ("receipts", "errors", number, "status"))
    if both := set(texts(receipts.delivered)) & set(texts(receipts.undelivered)):
        yield Fault(f"{', '.join(sorted(both))} stands in both lists.", ("receipts", "undelivered"))


def _of_syntax(source: Source) -> Iterator[Fault]:
    """What does not compile, and names that nobody gives, in every branch."""
    request = source.webhook.request
    places = {URL: request.url, BODY: request.body}
    places |= {("request", "headers", name): text for name, text in request.headers.items()}
    for where, text in places.items():
        try:
            unknown = _unknown(environment(str).parse(text))
        except jinja2.TemplateSyntaxError as bad:
            yield Fault(f"{str(bad.message).rstrip('.')}. Mend the template.", where, bad.lineno)
            continue
        for name, line in unknown:
            known = ", ".join((*VALUES, "secrets"))
            yield Fault(f"{name!r} is undefined. It may name {known}.", where, line)


def _unknown(tree: nodes.Template) -> list[tuple[str, int]]:
    """Raises `TemplateSyntaxError` for a filter or a test that nobody gives."""
    unknown = meta.find_undeclared_variables(tree) - {*VALUES, "secrets", *environment(str).globals}
    return [(node.name, node.lineno) for node in tree.find_all(nodes.Name) if node.name in unknown]


def _of_request(source: Source) -> Iterator[Fault]:
    parts = _parts(source)
    given = KIND | {"sender": source.webhook.sender or KIND["sender"]}
    empty = given | {"subject": "", "html": "", "locale": ""}
    hostile = {name: value + HOSTILE for name, value in given.items()}
    for name, template in parts.headers.items():
        yield from _written(source, ("request", "headers", name), template, (given, empty), header)[1]
    urls, faults = _written(source, URL, parts.url, (given, hostile), address)
    yield from faults or _of_urls(urls)
    bodies, faults = _written(source, BODY, parts.body, (given, hostile, empty), str)
    yield from faults or _of_bodies(source, parts, bodies)


def _written(
    source: Source,
    where: tuple[Step, ...],
    template: jinja2.Template,
    every: tuple[dict[str, str], ...],
    fits: Callable[[str], str],
) -> tuple[list[str], list[Fault]]:
    """A text for each set of values; or what is wrong. Whatever a template does wrong is its author's to mend.

    Secrets are not shown to it: an error might quote one.
    """
    found, secrets = list[str](), {name: f"secret-{name}" for name in source.secrets}
    for values in every:
        try:
            found.append(fits(template.render(values | {"secrets": secrets})))
        except NotToBeWritten as bad:
            return found, [Fault(f"{bad}. Mend the template.", where)]
        except jinja2.UndefinedError as bad:
            return found, [Fault(f"{bad.message}. Mend the template.", where, _line(bad))]
        except Exception as bad:
            return found, [Fault(f"does not render ({type(bad).__name__}: {bad}). Mend it.", where, _line(bad))]
    return found, []


def _line(error: Exception) -> int:
    """Jinja puts the lines of templates into tracebacks."""
    trace, line = error.__traceback__, 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _of_urls(urls: list[str]) -> Iterator[Fault]:
    kind, hostile = (urlsplit(url) for url in urls)
    if (kind.scheme, kind.netloc, kind.path.count("/")) != (hostile.scheme, hostile.netloc, hostile.path.count("/")):
        yield Fault("a value changes where it leads. Mend the template.", URL)


def _of_bodies(source: Source, parts: Parts, bodies: list[str]) -> Iterator[Fault]:
    read_as = _form if parts.form else _json
    said = [read_as(text) for text in bodies]
    if bad := [each for each in said if isinstance(each, Fault)]:
        yield bad[0]
        return
    kind, hostile = _shape(said[0]), _shape(said[1])
    if kind != hostile:
        yield Fault("a value changes the shape of the body. Put it between quotes, as a whole value.", BODY)
    yield from _missing(source, json.dumps(said[0]))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as bad:
        line = bad.lineno if isinstance(bad, json.JSONDecodeError) else 1
        return Fault(f'no JSON, at the latest with values put in ({bad}). Quote them: "{{{{ to }}}}".', BODY, line)


def _form(text: str) -> Any:
    joined = "".join(line.strip() for line in text.splitlines())
    try:
        return dict(parse_qsl(joined, keep_blank_values=True, strict_parsing=True))
    except ValueError as bad:
        return Fault(f"no form ({bad}). Write it like to={{{{ to }}}}&text={{{{ text }}}}.", BODY)


def _shape(said: Any) -> Any:
    if isinstance(said, dict):
        return {name: _shape(value) for name, value in said.items()}
    return [_shape(value) for value in said] if isinstance(said, list) else type(said).__name__


def _missing(source: Source, said: str) -> Iterator[Fault]:
    webhook = source.webhook
    url = webhook.request.url
    if KIND["to"].removeprefix("+") not in said and "to" not in _names(url):
        yield Fault("does not say who gets it. Write {{ to }} into it.", BODY)
    if "0123456789" not in said:
        yield Fault("does not say the text. Write {{ text }} into it, or {{ html }}.", BODY)
    if webhook.receipts is not None and KIND["token"] not in said and "token" not in _names(url):
        yield Fault("names no message to its receipts. Write {{ token }} into it.", BODY)
    if webhook.channel == "sms" and not webhook.sender and "sender" in _names(webhook.request.body):
        yield Fault('names a sender; say which where an account has none of its own: sender = "…"', BODY)


def _names(text: str) -> set[str]:
    return meta.find_undeclared_variables(environment(str).parse(text))
