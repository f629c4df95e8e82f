"""An account's budget of fed logins: what is left, when more fits, whose turn is when."""

from datetime import UTC, datetime, timedelta

import pytest

from services.login_gateway.feed_budget import WINDOW, Budget, turns

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
FOREVER = NOW + timedelta(days=1)


def budget(ahead: float, per_minute: int = 600) -> Budget:
    """Spent until so many seconds from now; a login is a tenth of a second."""
    return Budget(per_minute, NOW + timedelta(seconds=ahead), NOW)


@pytest.mark.parametrize(
    ("ahead", "left"), [(-3600, 600), (0, 600), (0.05, 599), (30, 300), (59.9, 1), (59.95, 0), (60, 0), (90, 0)]
)
def test_what_is_left_is_what_still_fits(ahead: float, left: int):
    assert budget(ahead).left == left


@pytest.mark.parametrize(
    ("ahead", "logins", "seconds"), [(0, 600, 1), (30, 400, 10), (60, 1, 1), (60, 600, 60), (90, 100, 40)]
)
def test_more_fits_after_some_seconds(ahead: float, logins: int, seconds: int):
    found = budget(ahead).seconds_until(logins)
    assert found == seconds
    later = budget(ahead)._replace(at=NOW + timedelta(seconds=found))
    assert later.left >= logins


def test_the_fields_are_structured_fields():
    fields = budget(30).fields()
    assert fields == {
        "RateLimit-Policy": '"logins";q=600;w=60;gatepost-unit="logins"',
        "RateLimit": '"logins";r=300;t=60',
    }
    assert budget(60).fields(7)["RateLimit"] == '"logins";r=0;t=7'


def test_turns_come_one_after_the_other():
    found = turns(budget(60), [FOREVER] * 3)
    assert found.due == [NOW + timedelta(seconds=second) for second in (0.1, 0.2, 0.3)]
    assert found.spent_until == NOW + WINDOW + timedelta(seconds=0.3)


def test_what_there_is_room_for_is_due_at_once():
    due = turns(budget(59.8), [FOREVER] * 3).due
    assert [at is not None and at <= NOW for at in due] == [True, True, False]


def test_who_would_come_too_late_takes_nobody_elses_turn():
    soon = NOW + timedelta(seconds=0.15)
    found = turns(budget(60), [soon, soon, FOREVER])
    assert found.due == [NOW + timedelta(seconds=0.1), None, NOW + timedelta(seconds=0.2)]
    assert found.spent_until == NOW + WINDOW + timedelta(seconds=0.2)


def test_a_budget_that_was_not_touched_for_long_holds_no_more_than_a_minute():
    found = turns(budget(-3600), [FOREVER] * 700)
    assert sum(at is not None and at <= NOW for at in found.due) == 600
