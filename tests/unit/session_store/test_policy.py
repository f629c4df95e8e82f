"""The closed form of a session's end against walking through time second by second."""

from hypothesis import given
from hypothesis import strategies as st

from services.session_store.policy import GATEPOST_SECONDS, USUAL_SECONDS, Policy, ends_at

DAY = 86_400
SMALL = st.builds(Policy, st.integers(-30, 60), st.integers(1, 40))


def walked(born: int, policies: list[Policy], until: int = 200) -> float | None:
    """The first whole second at which the session was as old as the length then in force."""
    for now in range(born, until):
        in_force = [p.max_age for p in policies if p.effective_at <= now]
        if now - born >= (in_force[-1] if in_force else USUAL_SECONDS):
            return now
    return None


@given(born=st.integers(-20, 50), policies=st.lists(SMALL, max_size=5, unique_by=lambda p: p.effective_at).map(sorted))
def test_the_closed_form_ends_a_session_when_a_walk_through_time_does(born: int, policies: list[Policy]):
    expected = walked(born, policies)
    found = ends_at(born, policies)
    assert found == expected if expected is not None else found >= 200


def test_without_a_policy_a_session_lasts_ninety_days():
    assert ends_at(0, []) == 90 * DAY


def test_a_shorter_length_ends_an_older_session_at_once():
    assert ends_at(0, [Policy(40 * DAY, 30 * DAY)]) == 40 * DAY


def test_what_a_shorter_length_ended_stays_ended_when_it_is_long_again():
    assert ends_at(0, [Policy(40 * DAY, 30 * DAY), Policy(41 * DAY, 90 * DAY)]) == 40 * DAY


def test_a_longer_length_prolongs_an_open_session():
    assert ends_at(0, [Policy(40 * DAY, 120 * DAY)]) == 120 * DAY


def test_a_session_of_audience_gatepost_ends_after_twelve_hours_at_most():
    assert ends_at(0, [Policy(1, 365 * DAY)], "gatepost") == GATEPOST_SECONDS
