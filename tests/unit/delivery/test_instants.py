"""Instants that ISO 8601 can write and UTC's years cannot hold: Postgres takes none, so they are bad input."""

import base64
from typing import Any

import msgspec
import pytest

from services.delivery import dead_letters, deliveries, replay
from services.delivery.operations import fields
from services.delivery.routes import letters, replays
from services.platform.http import Problem

BEYOND = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
ID = "0" * 32

beyond = pytest.mark.parametrize("at", BEYOND)


@beyond
@pytest.mark.parametrize("kind", [deliveries.ListQuery, replay.Request, dead_letters.Letters, dead_letters.Bulk])
@pytest.mark.parametrize("end", ["since", "until"])
def test_a_filter_is_named_by_api_and_console(kind: Any, end: str, at: str):
    with pytest.raises(msgspec.ValidationError, match="UTC has no such instant"):
        msgspec.convert({end: at}, kind, strict=False)
    assert fields.read({end: at}, kind).wrong.keys() == {end}


@beyond
def test_a_forged_cursor_is_refused(at: str):
    with pytest.raises(Problem, match="bad-request"):
        letters.before(f"{at}~{ID}")
    with pytest.raises(Problem, match="bad-request"):
        replays.before(f"{at}~*~x")
    with pytest.raises(deliveries.BadCursor):
        deliveries._after(base64.urlsafe_b64encode(f"{at} {ID}".encode()).decode())
