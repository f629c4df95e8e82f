"""Which language a message is written in: lookup by language tag (RFC 4647, 3.4)."""

import re
from collections.abc import Iterator
from typing import Final

TAG: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,6}")


def folded(tag: str) -> str:
    """Tags are compared without case (RFC 5646, 2.1.1); `de_AT`, as systems write it, is forgiven."""
    return tag.replace("_", "-").lower()


def ranges(tag: str | None) -> Iterator[str]:
    """The tag, then ever less of it; a single letter goes with what stood behind it. Nothing for no tag."""
    wanted = folded(tag or "")
    if not TAG.fullmatch(wanted):
        return
    parts = wanted.split("-")
    while parts:
        yield "-".join(parts)
        parts.pop()
        if len(parts) > 1 and len(parts[-1]) == 1:
            parts.pop()
