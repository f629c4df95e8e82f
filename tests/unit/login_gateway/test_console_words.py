"""What the account console says: what signing in will be like, and what another session length does."""

import itertools

import pytest

from services.login_gateway.experience import experience
from services.login_gateway.lengths import Ending, as_form, in_words, of_form, preview
from services.platform.http import Problem

DAY = 86_400


@pytest.mark.parametrize(
    ("sms", "email", "has_email", "words"),
    [
        (True, True, True, "by SMS; if the SMS fails, or when they ask for it, by e-mail."),
        (True, False, True, "it goes to their e-mail address, although Authentication by Email is off."),
        (True, False, False, "if it fails they cannot sign in: there is no e-mail address on file."),
        (False, True, True, "a code by e-mail; no SMS is sent."),
        (False, False, True, "The password alone signs them in: no code is asked for."),
    ],
)
def test_the_sentence_says_what_happens_at_a_sign_in(sms: bool, email: bool, has_email: bool, words: str):
    assert experience(sms=sms, email=email, has_email=has_email).endswith(words)


def test_every_way_of_signing_in_has_a_sentence_of_its_own_but_for_the_mailbox_that_nobody_uses():
    ways = itertools.product((True, False), repeat=3)
    found = {experience(sms=sms, email=email, has_email=has) for sms, email, has in ways}
    assert len(found) == 5
    assert "switched off" in experience(sms=True, email=True, has_email=True, disabled=True)


@pytest.mark.parametrize(
    ("seconds", "words", "form"),
    [
        (90 * DAY, "90 days", {"amount": "90", "unit": "days"}),
        (DAY, "1 day", {"amount": "1", "unit": "days"}),
        (36 * 3600, "36 hours", {"amount": "36", "unit": "hours"}),
        (5000, "5000 seconds", {"amount": "2", "unit": "hours"}),
    ],
)
def test_a_length_is_told_in_its_largest_unit(seconds: int, words: str, form: dict[str, str]):
    assert (in_words(seconds), as_form(seconds)) == (words, form)
    if seconds % 3600 == 0:
        assert of_form(**form) == seconds


@pytest.mark.parametrize(
    ("amount", "unit"),
    [("", "days"), ("-1", "days"), ("1.5", "days"), ("٣", "days"), ("1", "weeks"), ("9999999", "hours")],
)
def test_what_is_no_length_is_refused_beside_its_field(amount: str, unit: str):
    with pytest.raises(Problem) as refused:
        of_form(amount, unit)
    assert refused.value.more["field"] == "amount"


@pytest.mark.parametrize(("amount", "unit"), [("0", "days"), ("366", "days"), ("8761", "hours")])
def test_a_length_out_of_range_is_refused_by_the_rule_of_the_api(amount: str, unit: str):
    with pytest.raises(Problem, match="setting-out-of-range"):
        of_form(amount, unit)


@pytest.mark.parametrize(
    ("seconds", "ending", "words"),
    [
        (90 * DAY, None, "This is the length in force"),
        (91 * DAY, None, "No session ends now. Open sessions and new ones end 91 days after"),
        (30 * DAY, Ending(12, False), "12 sessions end now: opened more than 30 days ago. The others"),
        (30 * DAY, Ending(1, False), "1 session ends now: "),
        (30 * DAY, Ending(100_000, True), "More than 100,000 sessions end now: "),
        (30 * DAY, Ending(0, False), "No session ends now: all were opened within the last 30 days."),
        (30 * DAY, None, "Sessions that were opened more than 30 days ago end now; how many cannot be told."),
    ],
)
def test_the_preview_says_what_another_length_does(seconds: int, ending: Ending | None, words: str):
    assert preview(seconds, 90 * DAY, ending).startswith(words)
