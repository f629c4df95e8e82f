"""A folder of webhooks: one TOML file for each provider, which is called after it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from services.delivery.channels.webhooks.answers import PATH, Rule, Values
from services.delivery.channels.webhooks.signing import Secret
from services.platform.bad_bodies import told
from services.platform.environment import BadSettings

NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,30}")
TAKEN_NAMES: Final = frozenset({"twilio", "vonage", "smtp", "ses"})
TOML_PLACE: Final = re.compile(r"at line (\d+)")
MSGSPEC_PLACE: Final = re.compile(r" - at (?:`key` in )?`\$(.*)`")
MISSING: Final = re.compile(r"missing required field `([^`]+)`")
STEP: Final = re.compile(r"\.?([A-Za-z_-]+)|\[(\d+)\]")
SECTION: Final = re.compile(r"\s*(\[\[?)\s*([a-z_.]+)\s*\]\]?\s*(?:#.*)?")
OPENED: Final = re.compile(r"""=\s*(?:'''|\""")\s*""")

Path_ = Annotated[str, Meta(pattern=f"^{PATH.pattern}$")]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Step = str | int


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    url: str
    body: str
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    format: Literal["json", "form"] = "json"
    content_type: str | None = None
    headers: dict[HeaderName, str] = {}


class Taken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    path: Path_
    equals: Values


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A success has a reference, and this field where there is one."""

    reference: Path_
    code: Path_ | None = None
    taken: Taken | None = None
    errors: tuple[Rule, ...] = ()


class Receipts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    secret_file: str
    token: Path_
    status: Path_
    delivered: Values
    undelivered: Values
    code: Path_ | None = None
    errors: tuple[Rule, ...] = ()


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file, as docs/operations.md explains it."""

    channel: Literal["sms", "email"]
    request: Request
    answer: Answer
    sender: str = ""
    signing_secret_file: str | None = None
    secrets: dict[str, str] = {}
    receipts: Receipts | None = None


class BadWebhooks(BadSettings):
    """Files that cannot be used: a line each, with file, line and what to do."""


class Fault(NamedTuple):
    """`where` is the path of the field that is wrong, `line` counts within its text."""

    what: str
    where: tuple[Step, ...] = ()
    line: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read. `secrets` are those that the request may name."""

    path: Path
    text: str = field(repr=False)
    webhook: Webhook
    secrets: dict[str, str] = field(repr=False)
    signing: Secret | None
    receipts: Secret | None

    @property
    def name(self) -> str:
        return self.path.stem

    def told(self, fault: Fault) -> str:
        return f"{self.path}:{line_of(self.text, fault.where, fault.line)}: {fault.what}"


def read(folder: Path) -> Iterator[Source | str]:
    """Each file, or what is wrong with it. Hidden files are left alone; so are those that are no TOML."""
    if not folder.is_dir():
        yield f"{folder} is no folder of webhooks. GATEPOST_WEBHOOKS names the one that holds the .toml files."
        return
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    if not paths:
        yield f"{folder} holds no .toml file. Put one there, or leave GATEPOST_WEBHOOKS away."
    for path in paths:
        yield _source(path)


def _source(path: Path) -> Source | str:
    if not NAME.fullmatch(path.stem) or path.stem in TAKEN_NAMES:
        names = ", ".join(sorted(TAKEN_NAMES))
        return f"{path}: its name is the provider's. Use a-z, 0-9 and -, and none of {names}."
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as bad:
        line = path.read_bytes()[: bad.start].count(b"\n") + 1
        return f"{path}:{line}: not UTF-8. Save it as UTF-8."
    except OSError as bad:
        return f"{path}: {bad.strerror}."
    try:
        content = msgspec.toml.decode(text)
    except msgspec.DecodeError as bad:
        place = TOML_PLACE.search(str(bad))
        line = int(place[1]) if place else max(1, len(text.splitlines()))
        return f"{path}:{line}: no TOML ({bad}). Mend it."
    if misfits := list(_misfits(content)):
        return "\n".join(f"{path}:{line_of(text, where)}: {told(said, Webhook)}. Mend it." for where, said in misfits)
    return _with_secrets(path, text, msgspec.convert(content, Webhook))


def _misfits(content: Any) -> Iterator[tuple[tuple[Step, ...], str]]:
    """What does not fit, and where: what is wrong is taken out, and the rest judged again. What is missing ends it."""
    taken_out = set[tuple[Step, ...]]()
    while True:
        try:
            msgspec.convert(content, Webhook)
            return
        except msgspec.ValidationError as bad:
            said = str(bad)
        place = MSGSPEC_PLACE.search(said)
        where = steps(place[1]) if place else ()
        if missing := MISSING.search(said):
            if (*where, missing[1]) not in taken_out:
                yield where, said
            return
        where = _named(said, where)
        yield where, said
        taken_out.add(_take_out(content, where))


def _take_out(content: Any, where: tuple[Step, ...]) -> tuple[Step, ...]:
    """The field that is wrong, or the list that holds it."""
    while isinstance(where[-1], int):
        where = where[:-1]
    for step in where[:-1]:
        content = content[step]
    del content[where[-1]]
    return where


def _named(said: str, where: tuple[Step, ...]) -> tuple[Step, ...]:
    """An unknown field stands in its section, under its own name."""
    unknown = re.search(r"unknown field `([^`]+)`", said)
    return (*where, unknown[1]) if unknown else where


def _with_secrets(path: Path, text: str, webhook: Webhook) -> Source | str:
    found: dict[tuple[Step, ...], str] = {}
    wanted: dict[tuple[Step, ...], str] = {("secrets", name): file for name, file in webhook.secrets.items()}
    if webhook.signing_secret_file is not None:
        wanted["signing_secret_file",] = webhook.signing_secret_file
    if webhook.receipts is not None:
        wanted["receipts", "secret_file"] = webhook.receipts.secret_file
    keys: dict[tuple[Step, ...], Secret] = {}
    for where, file in wanted.items():
        try:
            found[where] = secret_in(path.parent / file)
            if where[0] != "secrets":
                keys[where] = Secret(found[where])
        except (OSError, ValueError) as bad:
            why = bad.strerror if isinstance(bad, OSError) else str(bad)
            return f"{path}:{line_of(text, where)}: {path.parent / file}: {why}. Put the secret there."
    named = {str(where[1]): secret for where, secret in found.items() if where[0] == "secrets"}
    return Source(path, text, webhook, named, keys.get(("signing_secret_file",)), keys.get(("receipts", "secret_file")))


def secret_in(path: Path) -> str:
    """One line of ASCII. Raises `OSError` or `ValueError`; neither shows it."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or not (text.isascii() and text.isprintable()):
        raise ValueError("not one line of ASCII")
    return text


def steps(place: str) -> tuple[Step, ...]:
    """`.answer.errors[1].class` in pieces."""
    return tuple(int(number) if number else name for name, number in STEP.findall(place))


def line_of(text: str, where: tuple[Step, ...], line: int = 1) -> int:
    """The line of a field, or of its section where that is all that can be found; `line` counts within its text."""
    section: tuple[Step, ...] = ()
    counts: dict[str, int] = {}
    best = 1
    for number, each in enumerate(text.splitlines(), 1):
        if opened := SECTION.fullmatch(each):
            section = _section(opened[1] == "[[", opened[2], counts)
            best = number if section and where[: len(section)] == section else best
        elif (
            where and section == where[:-1] and re.match(rf"""\s*["']?{re.escape(str(where[-1]))}["']?\s*[=.]""", each)
        ):
            after = OPENED.search(each)
            return number + line - 1 + (after is not None and after.end() == len(each))
    return best


def is_key(line: str, name: str) -> bool:
    return re.match(rf"""\s*["']?{re.escape(name)}["']?\s*[=.]""", line) is not None


def _section(many: bool, name: str, counts: dict[str, int]) -> tuple[Step, ...]:
    parts: tuple[Step, ...] = tuple(name.split("."))
    if not many:
        return parts
    counts[name] = counts.get(name, -1) + 1
    return (*parts, counts[name])
