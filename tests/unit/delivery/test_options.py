"""What is typed for an instant."""

from datetime import UTC, datetime, timedelta

import pytest

from services.delivery.commands_options import instant
from services.platform.plurals import plural


@pytest.mark.parametrize(("given", "ago"), [("90s", 90), ("10m", 600), ("2h", 7200), ("3d", 259_200)])
def test_how_long_ago_is_an_instant(given: str, ago: int):
    then = datetime.fromisoformat(instant(given) or "")
    assert abs(datetime.now(UTC) - timedelta(seconds=ago) - then) < timedelta(seconds=60)


@pytest.mark.parametrize("given", ["2026-03-01T12:00:00Z", "10 m", "10x", None])
def test_anything_else_goes_to_the_service_as_it_is(given: str | None):
    assert instant(given) == given


def test_one_is_no_plural():
    assert [plural(many, "message") for many in (0, 1, 2)] == ["0 messages", "1 message", "2 messages"]
