"""The breaker, with a clock that is passed in."""

import pytest

from services.delivery.breaker import Breaker, End
from tests.unit.delivery.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def calls(breaker: Breaker, *ends: End) -> int:
    """How many were made before it opened."""
    for made, end in enumerate(ends):
        if breaker.pause():
            return made
        breaker.end(end, breaker.begin())
    return len(ends)


def test_half_of_twenty_calls_within_thirty_seconds_open_it(breaker):
    assert calls(breaker, *[End.GOOD, End.FAILED] * 20) == 20
    assert breaker.state == "open"


def test_fewer_than_half_do_not(breaker):
    assert calls(breaker, *[End.GOOD, End.GOOD, End.FAILED] * 100) == 300


def test_fewer_than_twenty_calls_do_not(breaker):
    assert calls(breaker, *[End.FAILED] * 19) == 19
    assert breaker.state == "closed"
    assert calls(breaker, End.FAILED, End.FAILED) == 1


def test_what_is_older_than_thirty_seconds_does_not_count(breaker, clock):
    calls(breaker, *[End.FAILED] * 19)
    clock.now += 31
    assert calls(breaker, *[End.FAILED] * 19) == 19


def test_five_timeouts_in_a_row_open_it(breaker):
    assert calls(breaker, *[End.TIMEOUT] * 4, End.GOOD, *[End.TIMEOUT] * 4, End.FAILED, *[End.TIMEOUT] * 9) == 15


def test_a_refused_number_says_nothing_against_its_provider(breaker):
    assert calls(breaker, *[End.ANSWERED] * 200) == 200
    assert calls(breaker, *[End.TIMEOUT] * 4, End.ANSWERED, *[End.TIMEOUT] * 4) == 9


def open_it(breaker: Breaker) -> None:
    calls(breaker, *[End.TIMEOUT] * 5)


def test_after_its_rest_one_call_probes_and_the_others_wait(breaker, clock):
    open_it(breaker)
    clock.now += breaker.pause()
    assert breaker.state == "probing"
    probe = breaker.begin()
    assert probe
    assert breaker.pause() > 0
    breaker.end(End.GOOD, probe)
    assert (breaker.state, breaker.pause()) == ("closed", 0)


def test_a_probe_that_fails_doubles_the_rest_up_to_ten_seconds(breaker, clock):
    open_it(breaker)
    rests = []
    for _ in range(7):
        rests.append(breaker.pause())
        clock.now += breaker.pause()
        breaker.end(End.FAILED, breaker.begin())
    assert rests == [1, 2, 4, 8, 10, 10, 10]


def test_a_probe_that_was_broken_off_decides_nothing_and_the_next_call_probes(breaker, clock):
    open_it(breaker)
    clock.now += breaker.pause()
    breaker.end(End.NOTHING, breaker.begin())
    assert breaker.pause() == 0
    assert breaker.begin()


def test_calls_that_were_under_way_when_it_opened_change_nothing(breaker, clock):
    late = [breaker.begin() for _ in range(3)]
    open_it(breaker)
    for probe, end in zip(late, (End.GOOD, End.FAILED, End.TIMEOUT), strict=True):
        breaker.end(end, probe)
    assert breaker.pause() == 1


def test_the_provider_is_left_alone_for_as_long_as_it_asked(breaker, clock):
    breaker.end(End.FAILED, breaker.begin(), after=7.5)
    assert breaker.pause() == 7.5
    clock.now += 7.5
    breaker.end(End.GOOD, breaker.begin())
    assert breaker.state == "closed"
