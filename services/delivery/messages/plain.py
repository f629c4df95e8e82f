"""An account's own strings: plain text in which only the listed placeholders mean something."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
LINK: Final = re.compile(r"https?:|www\.|//", re.IGNORECASE)
# What may stand beside a code, so that nothing reads both as one address.
BESIDE_A_CODE: Final = re.compile(r"(?<![^\s\"'(])\{code\}(?=[.,;:!?)\"']*(?:\s|$))")


class BadText(ValueError):
    """It cannot be used; the text says why and what would do."""


def check(text: str, allowed: Sequence[str], longest: int) -> None:
    """Raises `BadText`. What was given is not repeated: it could be a secret in a wrong place."""
    if not text.strip() or len(text) > longest:
        raise BadText(f"takes 1 to {longest} characters")
    if not text.isprintable():
        raise BadText("is one line without control, direction or invisible characters")
    if LINK.search(text):
        raise BadText("holds no link: people learn from a code with a link to follow those of others")
    for problem in _braces(text, allowed):
        raise BadText(f"{problem}; the placeholders here are {listed(allowed)}")
    if text.count("{code}") != len(BESIDE_A_CODE.findall(text)):
        raise BadText("needs a space before {code}, and after it a space, the end or a mark of punctuation")


def _braces(text: str, allowed: Sequence[str]) -> Iterator[str]:
    end = 0
    for found in PLACEHOLDER.finditer(text):
        yield from _alone(text, end, found.start())
        if found[1] not in allowed:
            yield f"has something else in braces at character {found.start() + 1}"
        end = found.end()
    yield from _alone(text, end, len(text))


def _alone(text: str, start: int, end: int) -> Iterator[str]:
    yield from (f"has a brace alone at character {n + 1}" for n in range(start, end) if text[n] in "{}")


def listed(allowed: Sequence[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in allowed) or "none"


def fill(text: str, values: Mapping[str, object]) -> str:
    """For a text that was checked."""
    return PLACEHOLDER.sub(lambda found: str(values[found[1]]), text)
