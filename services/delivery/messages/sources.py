"""The files that hold the wording: the built-in ones, and an operator's own in their place.

`<locale>/<message>.sms.txt` is an SMS, `<locale>/<message>.txt` an e-mail whose first line is its subject, and
`email.html` how e-mails look; a locale may have an `email.html` of its own.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple, get_args

from schemas.events import Notice
from services.delivery.messages.locales import TAG, folded
from services.platform.environment import BadSettings

CODE: Final = "code"
NAMES: Final[tuple[str, ...]] = (CODE, *get_args(Notice))
LAYOUT: Final = "email.html"
FILES: Final = frozenset({LAYOUT, *(f"{name}{end}" for name in NAMES for end in (".txt", ".sms.txt"))})
BUILT_IN: Final = Path(__file__).parent / "templates"


class BadTemplates(BadSettings):
    """Wording that cannot be used: a line each, with file, line and what to do."""


class Source(NamedTuple):
    """A file. `locale` is written as its folder is; empty for one of all locales."""

    path: Path
    text: str
    locale: str


def read(folder: Path | None) -> dict[str, Source]:
    """By `<locale>/<file>` in lower case; `folder` overrides single files. Raises `BadTemplates`."""
    found = _in(BUILT_IN)
    if folder is None:
        return found
    if not folder.is_dir():
        raise BadTemplates(f"GATEPOST_TEMPLATES: {folder} is no folder. Make it, or leave the setting away.")
    return found | _in(folder)


def _in(folder: Path) -> dict[str, Source]:
    """Hidden files are left alone, so that a folder may be a mounted ConfigMap or a checkout."""
    found: dict[str, Source] = {}
    faults: list[str] = []
    for place, below, files in os.walk(folder, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for path in (Path(place, name) for name in sorted(files) if not name.startswith(".")):
            try:
                name, source = _source(folder, path)
            except BadTemplates as bad:
                faults.append(str(bad))
                continue
            found[name] = source
    if faults:
        raise BadTemplates("\n".join(faults))
    return found


def _source(folder: Path, path: Path) -> tuple[str, Source]:
    inner = path.relative_to(folder).parts
    locale = "" if len(inner) == 1 else inner[0]
    if not _is_known(locale, inner):
        raise BadTemplates(
            f"{path}: nothing would use it. Name it {LAYOUT}, or <locale>/<message>.txt or .sms.txt, where a locale is"
            f" like de or pt-BR and a message one of {', '.join(NAMES)}."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as bad:
        line = path.read_bytes()[: bad.start].count(b"\n") + 1
        raise BadTemplates(f"{path}:{line}: not UTF-8. Save it as UTF-8.") from None
    except OSError as bad:
        raise BadTemplates(f"{path}: {bad.strerror}.") from None
    return folded("/".join(inner)), Source(path, text, locale)


def _is_known(locale: str, inner: tuple[str, ...]) -> bool:
    if len(inner) == 1:
        return inner[0] == LAYOUT
    return len(inner) == 2 and TAG.fullmatch(locale) is not None and inner[1] in FILES
