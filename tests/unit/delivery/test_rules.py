"""The rules of delivery, as tables."""

import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest

from services.delivery import deadlines
from services.delivery.fallback import fallback_due
from services.delivery.ports import LoginNow, Result
from services.delivery.provider import Blame, Permanent, Retryable, Unknown
from services.delivery.states import MOVES, State, comes_from
from tests.unit.delivery.jobs import NOW, job

OPEN, CLOSED, MADE = LoginNow(None, False), LoginNow("verified", False), LoginNow(None, True)
MAIL = "a@example.com"
LATE = NOW + timedelta(seconds=290)
END = NOW + timedelta(seconds=299)

FALLBACK = [
    ("a refused SMS", "sms", State.FAILED, OPEN, MAIL, NOW, True),
    ("an undelivered SMS", "sms", State.UNDELIVERED, OPEN, MAIL, NOW, True),
    ("an SMS in doubt", "sms", State.UNKNOWN, OPEN, MAIL, NOW, True),
    ("an SMS that was sent", "sms", State.SENT, OPEN, MAIL, NOW, False),
    ("an SMS that will be tried again", "sms", State.QUEUED, OPEN, MAIL, NOW, False),
    ("a cancelled SMS", "sms", State.CANCELLED, OPEN, MAIL, NOW, False),
    ("an expired SMS", "sms", State.EXPIRED, OPEN, MAIL, NOW, False),
    ("a login that was used", "sms", State.FAILED, CLOSED, MAIL, NOW, False),
    ("no e-mail on file", "sms", State.FAILED, OPEN, None, NOW, False),
    ("an e-mail that was made already", "sms", State.FAILED, MADE, MAIL, NOW, False),
    ("a code about to end", "sms", State.FAILED, OPEN, MAIL, LATE, False),
    ("an e-mail that failed", "email", State.FAILED, OPEN, MAIL, NOW, False),
]


@pytest.mark.parametrize(("case", "channel", "state", "login", "email", "now", "due"), FALLBACK)
def test_the_fallback_rule(case, channel, state, login, email, now, due):
    assert fallback_due(job(channel=channel), state, login, email, now) is due, case


def test_a_row_that_ended_never_moves_again():
    for ended in (State.DELIVERED, State.UNDELIVERED, State.UNKNOWN, State.FAILED, State.EXPIRED, State.CANCELLED):
        assert not MOVES[ended]


RECEIPT_DUE = NOW + timedelta(seconds=25)
WAITS = job(state="sent", provider="twilio")
SILENT = Unknown("no-receipt")
# What the rules make of a claimed row, and of one whose receipt does not come; each with the instant that is passed in.
BY_RULE: dict[tuple[State, State], Callable[[], Result | None]] = {
    (State.SENDING, State.SENT): lambda: deadlines.after_success(job(), NOW, "SM1", True),
    (State.SENDING, State.QUEUED): lambda: deadlines.after_trouble(job(), Retryable("x"), NOW, True),
    (State.SENDING, State.FAILED): lambda: deadlines.after_trouble(job(), Permanent("x"), NOW, True),
    (State.SENDING, State.UNKNOWN): lambda: deadlines.after_trouble(job(), Unknown("x"), NOW, True),
    (State.SENDING, State.EXPIRED): lambda: deadlines.ended_before_call(job(), NOW + timedelta(seconds=300)),
    (State.SENDING, State.CANCELLED): lambda: deadlines.ended_before_call(job(why="verified"), NOW),
    (State.SENT, State.UNKNOWN): lambda: deadlines.after_trouble(WAITS, SILENT, RECEIPT_DUE, True),
    (State.SENT, State.QUEUED): lambda: deadlines.after_trouble(WAITS, SILENT, RECEIPT_DUE, False),
}
BY_RECEIPT = {(old, new) for old in (State.SENDING, State.SENT) for new in (State.DELIVERED, State.UNDELIVERED)}
BY_CLAIM = {(State.QUEUED, new) for new in (State.SENDING, State.EXPIRED, State.CANCELLED, State.FAILED)}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(State, State)))
def test_every_edge_of_the_state_diagram_and_no_other(old, new):
    edges = BY_RULE.keys() | BY_RECEIPT | BY_CLAIM
    assert (new in MOVES[old]) is ((old, new) in edges)


@pytest.mark.parametrize(("edge", "made"), list(BY_RULE.items()))
def test_the_rules_move_along_those_edges(edge, made):
    result = made()
    assert result is not None
    assert result.state == edge[1]


@pytest.mark.parametrize(
    ("new", "before"),
    [
        (State.SENT, [State.SENDING, State.SENT]),
        (State.FAILED, [State.SENDING]),
        (State.EXPIRED, [State.SENDING]),
        (State.QUEUED, [State.SENDING, State.SENT]),
        (State.UNKNOWN, [State.SENDING, State.SENT]),
        (State.SENDING, []),
    ],
)
def test_a_result_is_written_only_over_the_states_it_may_follow(new, before):
    assert comes_from(new) == before


def test_every_state_stands_in_the_diagram():
    assert set(MOVES) == set(State)


def test_a_used_login_cancels_what_is_queued():
    ended = deadlines.ended_before_call(job(why="verified"), NOW)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.CANCELLED, "verified")


def test_nothing_is_sent_after_the_code_ended():
    ended = deadlines.ended_before_call(job(), NOW + timedelta(seconds=300))
    assert ended is not None
    assert ended.state == State.EXPIRED


def test_no_call_begins_that_could_arrive_when_its_code_is_dead():
    ended = deadlines.ended_before_call(job(), NOW + timedelta(seconds=299.5))
    assert (ended and ended.state) == State.EXPIRED
    assert deadlines.ended_before_call(job(), NOW + timedelta(seconds=298.9)) is None


def test_a_retried_sms_ends_within_ten_seconds_of_the_challenge():
    assert deadlines.time_for_call(job(tries=2), NOW + timedelta(seconds=8)) == pytest.approx(2)
    ended = deadlines.ended_before_call(job(tries=2), NOW + timedelta(seconds=9.5))
    assert ended is not None
    assert ended.reason == "too-late"


def test_a_challenge_that_kafka_kept_back_still_goes_out_by_sms():
    late = NOW + timedelta(seconds=60)
    assert deadlines.ended_before_call(job(), late) is None
    assert deadlines.time_for_call(job(), late) == 4


def test_a_transient_error_is_tried_again_with_growing_pauses():
    pauses = [deadlines.after_trouble(job(tries=n), Retryable("x"), NOW, True).pause for n in (1, 2, 3)]
    assert pauses == [0.5, 1.0, 2.0]


def test_another_provider_is_asked_at_once_whatever_the_first_one_said_about_later():
    busy = deadlines.after_trouble(job(), Retryable("rate-limited", 60), NOW, True, another=True)
    assert (busy.state, busy.pause) == (State.QUEUED, 0.0)
    locked_out = Permanent("provider-credentials", Blame.PROVIDER)
    assert deadlines.after_trouble(job(), locked_out, NOW, True, another=True).state == State.QUEUED
    assert deadlines.after_trouble(job(), locked_out, NOW, True).state == State.FAILED
    assert deadlines.after_trouble(job(), Permanent("invalid-number"), NOW, True, another=True).state == State.FAILED
    assert deadlines.after_trouble(job(tries=4), Retryable("x"), NOW, True, another=True).state == State.FAILED


@pytest.mark.parametrize(
    ("which", "down", "after", "has_email", "state", "reason"),
    [
        ("sms", True, 0, True, State.FAILED, "providers-down"),
        ("sms", True, 0, False, State.QUEUED, "providers-down"),
        ("sms", False, 9, True, State.QUEUED, "providers-busy"),
        ("sms", False, 10, True, State.FAILED, "providers-busy"),
        ("sms", False, 60, False, State.QUEUED, "providers-busy"),
        ("email", True, 60, True, State.QUEUED, "providers-down"),
    ],
)
def test_what_no_provider_takes_goes_by_the_next_channel_or_waits(which, down, after, has_email, state, reason):
    now = NOW + timedelta(seconds=after)
    result = deadlines.without_lane(job(channel=which), 0.25, down, now, has_email)
    assert (result.state, result.reason, result.untried) == (state, reason, True)
    assert result.pause == (0.25 if state == State.QUEUED else None)


def test_an_sms_whose_tries_are_used_up_failed():
    assert deadlines.after_trouble(job(tries=4), Retryable("x"), NOW, True).state == State.FAILED


def test_a_retry_after_beyond_the_window_is_a_failure():
    assert deadlines.after_trouble(job(), Retryable("rate-limited", 60), NOW, True).state == State.FAILED


def test_an_email_is_tried_until_its_code_ends():
    email = job(channel="email", tries=9)
    assert deadlines.after_trouble(email, Retryable("x"), NOW, True).pause == 15.0
    assert deadlines.after_trouble(email, Retryable("x"), LATE, True).pause == 8.25
    assert deadlines.after_trouble(email, Retryable("x"), END, True).state == State.FAILED


@pytest.mark.parametrize("life", [60, 300, 600])
def test_a_busy_mailbox_is_tried_for_as_long_as_a_code_can_live(life):
    now, tries, expires = NOW, 1, NOW + timedelta(seconds=life)
    while True:
        email = job(channel="email", tries=tries, expires_at=expires)
        result = deadlines.after_trouble(email, Retryable("x"), now, True)
        if result.pause is None:
            break
        now, tries = now + timedelta(seconds=result.pause), tries + 1
    assert expires - now < timedelta(seconds=2)


def test_an_email_whose_server_says_when_is_not_asked_before():
    busy = Retryable("x", 30)
    assert deadlines.after_trouble(job(channel="email"), busy, NOW, True).pause == 30.0
    assert deadlines.after_trouble(job(channel="email"), busy, LATE, True).state == State.FAILED


def test_doubt_leads_to_the_next_channel_where_there_is_one():
    assert deadlines.after_trouble(job(), Unknown("x"), NOW, has_email=True).state == State.UNKNOWN


def test_doubt_without_a_next_channel_submits_once_more_and_only_once():
    first = deadlines.after_trouble(job(), Unknown("x"), NOW, has_email=False)
    assert (first.state, first.doubtful) == (State.QUEUED, True)
    assert deadlines.after_trouble(job(doubtful=1), Unknown("x"), NOW, has_email=False).state == State.UNKNOWN


def test_a_receipt_is_awaited_25_s_from_the_challenge_and_10_s_from_the_hand_over():
    assert deadlines.after_success(job(), NOW + timedelta(seconds=1), "SM1", True).pause == 24
    assert deadlines.after_success(job(), NOW + timedelta(seconds=60), "SM1", True).pause == 10
    assert deadlines.after_success(job(), NOW, "SM1", False).pause is None
