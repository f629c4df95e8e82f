"""docs/feeds.md names every reason that a fed login is refused for, and every reason of a record's dead letter."""

import re
from pathlib import Path
from typing import get_args

from schemas.codec import Reason
from schemas.events import RefuseReason

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/feeds.md").read_text()
SOURCES = [ROOT / "services/login_gateway" / name for name in ("feed_records.py", "feed_topic.py")]


def first_column(after: str) -> set[str]:
    """The words in the first column of the table that follows."""
    table = PAGE.split(after, 1)[1].split("\n\n|", 1)[1].split("\n\n", 1)[0]
    return {
        word for line in table.splitlines() for word in re.findall(r"`([a-z-]+)`", line.removeprefix("|").split("|")[0])
    }


def test_every_reason_of_a_refusal_is_explained():
    assert first_column("## Why a login is refused") == set(get_args(RefuseReason))


def test_every_reason_of_a_dead_letter_is_explained():
    named = {
        word
        for path in SOURCES
        for word in re.findall(r'NotTaken\("([a-z-]+)"\)|reason = "([a-z-]+)"', path.read_text())
    }
    words = {word for pair in named for word in pair if word} | {"failed", "bad-reference", *get_args(Reason)}
    assert first_column("**Dead letters.**") == words
