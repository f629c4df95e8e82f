"""Each rule of a flood can break, and is then named alone."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from gatepost_client import Fed, Refused, SignedIn
from tests.flood.result import Death, Flooded, Given, broken

NOW = datetime.now(UTC)
PHONE = "+447900000001"


def login(given: Given, **more: Any) -> dict[str, Any]:
    state = "pending" if given.phone else "verified"
    row = {"login_id": uuid4(), "user_id": given.user_id, "reference": given.reference, "state": state}
    return row | {"auth_time": NOW, "created_at": NOW} | more


def signed_in(reference: str, login_id: object) -> Fed:
    return Fed(
        reference=reference, outcome=SignedIn(token="gp_", login_id=str(login_id), expires_at=NOW, acr="", amr=())
    )


def good() -> Flooded:
    """Three references by the topic, of which the last comes by HTTP too, and one with a code."""
    given = [Given("a", "ua", None), Given("b", "ub", None), Given("c", "uc", None), Given("d", "ud", PHONE)]
    found = Flooded(given[:3], [given[2], given[3]])
    found.logins = [login(each) for each in given]
    found.answers = [signed_in(row["reference"], row["login_id"]) for row in found.logins[2:]]
    found.sessions = [str(row["login_id"]) for row in found.logins[:3]]
    found.messages = [{"login_id": found.logins[3]["login_id"], "cause": "login", "state": "sent", "doubtful": 0}]
    found.calls = Counter({PHONE: 1})
    found.deaths = [
        Death("gateway", 1, 1, 1, 1.0),
        Death("delivery", 2, 2, 1, 1.0),
        Death("session-store", 3, 2, 1, 1.0),
    ]
    return found


def _row(number: int, **more: Any) -> Callable[[Flooded], None]:
    def change(found: Flooded) -> None:
        found.logins[number] = {**found.logins[number], **more}

    return change


def _message(**more: Any) -> Callable[[Flooded], None]:
    def change(found: Flooded) -> None:
        found.messages[0] = {**found.messages[0], **more}

    return change


def _twice(found: Flooded) -> None:
    """By a login of another id, which has its session too."""
    found.logins.append(again := login(found.by_topic[0]))
    found.sessions.append(str(again["login_id"]))


def _missing(found: Flooded) -> None:
    found.sessions.remove(str(found.logins.pop(0)["login_id"]))


def _doubted(by_email: bool) -> Callable[[Flooded], None]:
    """Who would have called the provider died before."""

    def change(found: Flooded) -> None:
        found.calls.clear()
        found.messages[0] = {**found.messages[0], "state": "unknown"}
        if by_email:
            found.messages.append({**found.messages[0], "cause": "fallback:login", "state": "sent"})

    return change


BREAKS: dict[str, tuple[Callable[[Flooded], Any], set[str]]] = {
    "opened twice": (_twice, {"opened_once"}),
    "not opened": (_missing, {"opened_once"}),
    "opened for somebody else": (_row(0, user_id="ub"), {"opened_once"}),
    "opened without its reference": (_row(0, reference=None), {"opened_once"}),
    "refused": (lambda found: found.refused.update(["told, too-old"]), {"refused_none"}),
    "not answered": (lambda found: found.answers.pop(), {"answered"}),
    "answered twice": (lambda found: found.answers.append(found.answers[0]), {"answered"}),
    "answered with another login": (
        lambda found: found.answers.__setitem__(0, signed_in("c", uuid4())),
        {"answered"},
    ),
    "signed in and no session": (lambda found: found.sessions.pop(), {"one_session"}),
    "a session of a login that waits": (
        lambda found: found.sessions.append(str(found.logins[3]["login_id"])),
        {"one_session"},
    ),
    "signed in without the code": (_row(3, state="verified"), {"one_session"}),
    "no message": (lambda found: found.messages.clear(), {"one_message"}),
    "two messages": (lambda found: found.messages.append(found.messages[0]), {"one_message"}),
    "a message to who needs none": (
        lambda found: found.messages.append({**found.messages[0], "login_id": found.logins[0]["login_id"]}),
        {"one_message"},
    ),
    "a message of nobody": (
        lambda found: found.messages.append({**found.messages[0], "login_id": uuid4()}),
        {"one_message"},
    ),
    "a message that waited too long": (_message(state="expired"), {"one_message"}),
    "never called": (lambda found: found.calls.clear(), {"one_message"}),
    "never called, and no e-mail": (_doubted(by_email=False), {"one_message"}),
    "called twice": (lambda found: found.calls.update([PHONE]), {"one_message"}),
    "a death too few": (lambda found: found.deaths.pop(), {"died_in_the_middle"}),
    "dead when all were open": (
        lambda found: found.deaths.__setitem__(1, found.deaths[1]._replace(opened=4)),
        {"died_in_the_middle"},
    ),
    "dead when the topic was done": (
        lambda found: found.deaths.__setitem__(0, found.deaths[0]._replace(read=3)),
        {"died_in_the_middle"},
    ),
    "dead before the first answer": (
        lambda found: found.deaths.__setitem__(0, found.deaths[0]._replace(answered=0)),
        {"died_in_the_middle"},
    ),
}


def test_a_good_flood_breaks_no_rule() -> None:
    assert broken(good()) == {}
    doubted = replace(good(), calls=Counter({PHONE: 2}))
    doubted.messages[0] = {**doubted.messages[0], "doubtful": 1}
    assert broken(doubted) == {}
    _doubted(by_email=True)(by_mail := good())
    assert broken(by_mail) == {}


@pytest.mark.parametrize(("change", "rules"), BREAKS.values(), ids=BREAKS)
def test_what_breaks_is_named(change: Callable[[Flooded], Any], rules: set[str]) -> None:
    found = good()
    change(found)
    assert set(broken(found)) == rules


def test_an_answer_that_refuses_names_no_login() -> None:
    found = good()
    found.answers[0] = Fed(reference="c", outcome=Refused(reference="c", reason="busy"))
    assert broken(found) == {}
