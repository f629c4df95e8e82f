"""The closed form of a session's end against a walk through every second of its life."""

from hypothesis import given
from hypothesis import strategies as st

from services.session_store.policy import GATEPOST_SECONDS, USUAL_SECONDS, Policy, ends_at

TIMES = st.integers(0, 60)
POLICIES = st.lists(st.tuples(TIMES, st.integers(1, 40)), max_size=5, unique_by=lambda p: p[0]).map(sorted)


def walked(born: int, policies: list[tuple[int, int]], until: int = 200) -> float:
    """Second by second: dead once older than, or as old as, the length in force at that moment."""
    for now in range(born, until):
        in_force = [age for at, age in policies if at <= now]
        if now - born >= (in_force[-1] if in_force else USUAL_SECONDS):
            return now
    return float("inf")


@given(TIMES, POLICIES)
def test_the_closed_form_is_what_a_walk_through_time_finds(born, policies):
    end = ends_at(born, [Policy(*each) for each in policies])
    found = walked(born, policies)
    assert end == found if found < 200 else end >= 200


def test_without_a_policy_a_session_lasts_ninety_days():
    assert ends_at(1000, []) == 1000 + 90 * 86_400


def test_shorter_ends_it_at_once_and_longer_brings_nothing_back():
    month, quarter = 30 * 86_400, 90 * 86_400
    now = 40 * 86_400
    assert ends_at(0, [Policy(now, month)]) == now
    assert ends_at(0, [Policy(now, month), Policy(now + 1, quarter)]) == now
    assert ends_at(0, [Policy(20 * 86_400, 365 * 86_400)]) == 365 * 86_400


def test_a_sign_in_to_gatepost_itself_ends_after_twelve_hours():
    assert ends_at(0, [], "gatepost") == GATEPOST_SECONDS
    assert ends_at(0, [Policy(-1, 3600)], "gatepost") == 3600
