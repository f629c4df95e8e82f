"""The login's rules that need no server."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from schemas import codec, topics
from services.login_gateway.events import methods, strength
from services.login_gateway.resend import allowed_channels, resend_at
from services.login_gateway.status import State, delivery, sends, word_of
from services.login_gateway.verify import FORGIVEN, closed_problem
from services.platform.http import Problem

ROOT = Path(__file__).parent.parent.parent.parent
KINDS = ("CodeSent", "CodeDelivered", "DeliveryFailed")
OUTCOMES = sorted(path for kind in KINDS for path in (ROOT / "schemas/examples" / kind).iterdir())
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def login(**changes: Any) -> dict[str, Any]:
    usual = {"factors": ["sms"], "channels": ["sms", "email"], "sends": 1, "last_send_at": NOW}
    return usual | changes


@pytest.mark.parametrize(("sends", "pause"), [(1, 30), (2, 60), (3, 90)])
def test_sends_are_thirty_sixty_and_ninety_seconds_apart(sends: int, pause: int) -> None:
    assert resend_at(login(sends=sends)) == NOW + timedelta(seconds=pause)


def test_after_four_sends_there_is_no_other() -> None:
    assert resend_at(login(sends=4)) is None


def test_a_resend_goes_by_sms_first() -> None:
    assert allowed_channels(login(factors=["sms", "email"]), None) == ["sms", "email"]


def test_a_resend_by_email_needs_email_to_be_on() -> None:
    with pytest.raises(Problem, match="channel-not-allowed"):
        allowed_channels(login(), "email")
    assert allowed_channels(login(factors=["sms", "email"]), "email") == ["email"]


@pytest.mark.parametrize(
    ("channel", "fed", "acr"),
    [
        (None, False, "pwd"),
        ("sms", False, "pwd+sms"),
        ("email", False, "pwd+email"),
        (None, True, "fed"),
        ("sms", True, "fed+sms"),
    ],
)
def test_the_strength_says_which_steps_were_done(channel: str | None, fed: bool, acr: str) -> None:
    assert strength(channel, fed) == f"urn:gatepost:acr:{acr}"
    assert methods(channel, fed)[0] == ("fed" if fed else "pwd")
    assert ("mfa" in methods(channel, fed)) == (channel is not None)


@pytest.mark.parametrize("given", ["123 456", "123-456", " 123456 ", "12\u201334\u201356", "1 2 3 4 5 6", "123\t456\n"])
def test_spaces_and_dashes_are_forgiven(given: str) -> None:
    assert FORGIVEN.sub("", given) == "123456"


@pytest.mark.parametrize("reason", ["used", "expired", "too-many-attempts", "sessions-expired", "contact-changed"])
def test_a_closed_login_says_why_and_what_to_do(reason: str) -> None:
    problem = closed_problem(reason)
    assert (problem.status, problem.name, problem.more) == (410, "login-closed", {"reason": reason})
    assert problem.detail.endswith(".")


@pytest.mark.parametrize(("factors", "to"), [(["sms"], "a•••@•••"), (["sms", "email"], "a•••@example.com")])
def test_the_domain_of_a_mailbox_shows_only_where_email_is_on(factors: list[str], to: str) -> None:
    word = {"state": "sent", "to": "a•••@example.com", "at": NOW.isoformat()}
    known = login(factors=factors, masked={"email": "a•••@example.com"}, delivery={"email": word})
    assert delivery(known)["to"] == to
    assert [send["to"] for send in sends(known)] == [to]


@pytest.mark.parametrize("example", OUTCOMES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_outcome_makes_a_state_that_the_readme_names(example: Path) -> None:
    outcome: Any = codec.decode_for(topics.DELIVERY_OUTCOMES.name, example.read_bytes())
    word = word_of(outcome)
    told = delivery(login(delivery={outcome.channel: word}, masked={"sms": "+44 •••• ••67", "email": "a•••@•••"}))
    assert {word["state"], told["state"]} <= set(get_args(State))


def test_the_readme_names_every_state_of_a_delivery() -> None:
    assert delivery(login(delivery={}))["state"] == "none"
    told = (ROOT / "README.md").read_text().partition("`delivery.state` is ")[2].partition("\n\n")[0]
    assert set(re.findall("`([a-z]+)`", told)) - {"reason"} == set(get_args(State))
