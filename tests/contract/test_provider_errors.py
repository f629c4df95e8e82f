"""docs/operations.md explains every reason that a message can end with, and every code of every provider."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.delivery.channels import catalogue
from services.delivery.states import Reason
from services.delivery.vendor_errors import code_in, word_of
from tests.contract.provider_errors import BEGIN, END, PAGE, put

CHANNELS = Path(__file__).parent.parent.parent / "services" / "delivery" / "channels"
RAISED = {"Permanent", "Retryable", "Unknown", "reason"}
EXPLAINED = re.compile(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| [^|]+ \| [^|]+ \|$", re.M)


def test_the_page_shows_the_tables_as_they_are():
    page = PAGE.read_text()
    assert put(page) == page, "run python -m tests.contract.provider_errors"
    assert page.index(BEGIN) < page.index(END)


@pytest.mark.parametrize("vendor", catalogue.VENDORS)
def test_a_code_stands_once_and_fits_into_an_event_and_a_filter(vendor: str):
    text = (CHANNELS / f"{vendor}_errors.py").read_text()
    written = re.findall(r'VendorError\(\s*"([^"]+)"', text)
    assert len(written) == len(set(written)) == len(list(catalogue.VENDORS[vendor]))
    for error in catalogue.VENDORS[vendor]:
        assert code_in(error.code) == error.code
        assert re.fullmatch(r"[a-z-]{3,40}", error.word)
        assert re.fullmatch(r"[A-Za-z0-9:._-]{1,100}", error.reason)
        assert word_of(error.reason) == error.word
        assert error.meaning.endswith(".")
        assert error.next.endswith(".")


def test_every_reason_of_our_own_is_explained():
    page = PAGE.read_text()
    explained = {word for row in EXPLAINED.findall(page) for word in re.findall(r"`([a-z-]+)`", row)}
    assert {*_raised(), *Reason} - explained == set()


def _raised() -> set[str]:
    """Words that adapters give of themselves: what they raise, and constants in capitals."""
    found = set()
    for file in CHANNELS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISED:
                found |= set(_constants(node))
            if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") in ("UNREADABLE", "NOT_TAKEN"):
                found |= set(_constants(node))
    return {word.rstrip(":") for word in found if isinstance(word, str) and re.fullmatch(r"[a-z-]{4,}:?", word)}


def _constants(node: ast.AST) -> Iterator[object]:
    """Not those that are only compared with."""
    if isinstance(node, ast.Constant):
        yield node.value
    for part in ast.iter_child_nodes(node):
        if not isinstance(part, ast.Compare):
            yield from _constants(part)


def test_what_a_timeline_names_is_explained_once():
    found: list[dict[str, Any]] = [
        {"provider": "twilio", "reason": "unreachable:30003"},
        {"provider": "twilio", "reason": "unreachable:30003"},
        {"provider": "vonage", "reason": "opted-out:1240"},
        {"provider": "vonage", "reason": "opted-out:30003"},
        {"provider": "smtp", "reason": "refused:552"},
        {"provider": None, "reason": None},
        {"provider": "twilio", "reason": "no-receipt"},
    ]
    assert [(one["provider"], one["code"]) for one in catalogue.explained(found)] == [
        ("twilio", "30003"),
        ("vonage", "1240"),
    ]
