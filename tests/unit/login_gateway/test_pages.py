"""What the sign-in pages decide by themselves: where one may go on to, on what one signs in, how a state is told."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from services.login_gateway.pages.destination import DONE, destination
from services.login_gateway.pages.devices import device_of
from services.login_gateway.pages.telling import told
from services.platform.cookies import LONGEST_WAY_BACK
from services.platform.http import Problem

OWN = "https://login.example.com"
ORIGINS = ("https://app.example.com", "https://other.example.com:8443")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SMS, EMAIL = "+44 •••• ••67", "a•••@example.com"


@pytest.mark.parametrize(
    ("asked", "address", "origin", "audience"),
    [
        ("", DONE, "", "apps"),
        ("/orders?page=2#top", "/orders?page=2#top", "", "apps"),
        ("/search?q=a b", "/search?q=a+b", "", "apps"),
        ("/käse", "/k%C3%A4se", "", "apps"),
        ("/login/done", "/login/done", "", "apps"),
        ("/account", "/account", "", "gatepost"),
        ("/operations/live?since=1", "/operations/live?since=1", "", "gatepost"),
        ("/accounting", "/accounting", "", "apps"),
        (f"{OWN}/account", f"{OWN}/account", OWN, "gatepost"),
        ("https://app.example.com", "https://app.example.com", "https://app.example.com", "apps"),
        ("https://APP.example.com:443/x", "https://app.example.com/x", "https://app.example.com", "apps"),
        ("https://app.example.com/account", "https://app.example.com/account", "https://app.example.com", "apps"),
        (
            "https://other.example.com:8443/",
            "https://other.example.com:8443/",
            "https://other.example.com:8443",
            "apps",
        ),
    ],
)
def test_one_may_go_on_to_this_host_and_to_listed_origins(asked: str, address: str, origin: str, audience: str):
    found = destination(asked, OWN, ORIGINS)
    assert (found.address, found.origin, found.audience) == (address, origin, audience)


@pytest.mark.parametrize(
    "asked",
    [
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://app.example.com@evil.example",
        "https://app.example.com:x@evil.example",
        "https://user@app.example.com",
        "https://sub.app.example.com",
        "https:/evil.example",
        "https:evil.example",
        "https:///evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        " //evil.example",
        " /orders",
        "javascript:alert(1)",
        "data:text/html,x",
        "orders",
        "?x",
        "https://[::1",
        "/" + "x" * LONGEST_WAY_BACK,
        "/" + "ä" * (LONGEST_WAY_BACK // 2),
        "/\ud800",
    ],
)
def test_one_is_sent_nowhere_else(asked: str):
    with pytest.raises(Problem, match="return-to-not-allowed"):
        destination(asked, OWN, ORIGINS)


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/156.0 Safari/537.36 Edg/156.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15.1; rv:150.0) Gecko/20100101 Firefox/150.0", "Firefox on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/156.0 Mobile Safari/537.36", "Chrome on Android"),
        ("your bank: call +44 20 7946 0958 (Linux)", "A browser on Linux"),
        ("curl/8", None),
    ],
)
def test_a_device_is_named_by_words_of_ours(user_agent: str, device: str | None):
    assert device_of(user_agent) == device


HOUSE: Any = SimpleNamespace(
    handles=SimpleNamespace(make=lambda _: "lg_x"),
    settings=SimpleNamespace(tries_per_login=5, wrong_codes_15min=10),
)


def login(*factors: str, sent: dict[str, dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A row as the database gives it; `sent` is what is known of each channel, by default queued a second ago."""
    known = sent if sent is not None else {factors[0]: {"state": "queued"}}
    return {
        "login_id": uuid4(),
        "state": "pending",
        "closed_why": None,
        "factors": list(factors),
        "channels": ["sms", "email"] if "sms" in factors else ["email"],
        "masked": {"sms": SMS, "email": EMAIL},
        "delivery": {
            c: {"at": (NOW - timedelta(seconds=1)).isoformat(), "cause": "login", **w} for c, w in known.items()
        },
        "attempts": 0,
        "sends": 1,
        "last_send_at": NOW,
        "expires_at": NOW + timedelta(minutes=5),
        "at": NOW,
        "digits": 6,
        "now_user_epoch": 1,
        "user_epoch": 1,
        "now_account_epoch": 1,
        "account_epoch": 1,
        "locked_at": None,
        "wrong_lately": 0,
        **more,
    }


OLD = {"at": (NOW - timedelta(seconds=20)).isoformat()}
REFUSED = {"state": "failed", "reason": "invalid-number", "next": "email", **OLD}
LOST = {"state": "failed", "reason": "invalid-number", "next": "none"}


@pytest.mark.parametrize(
    ("row", "news", "tone"),
    [
        (login("sms"), f"Sending by SMS to {SMS}.", "wait"),
        (login("email"), f"Sending by e-mail to {EMAIL}.", "wait"),
        (login("sms", sent={"sms": {"state": "sent", "to": SMS}}), f"We sent an SMS to {SMS}.", "good"),
        (
            login("sms", sent={"sms": {"state": "delivered", "to": SMS}}),
            f"The code has arrived by SMS at {SMS}.",
            "good",
        ),
        (login("email", sent={"email": {"state": "sent"}}), f"We e-mailed {EMAIL}.", "good"),
        (
            login("sms", "email", sent={"sms": REFUSED, "email": {"state": "sent"}}),
            f"The SMS could not be delivered. We e-mailed {EMAIL}.",
            "wait",
        ),
        (
            login("sms", sent={"sms": REFUSED, "email": {"state": "sent"}}),  # e-mail is off: where it is stays hidden
            "The SMS could not be delivered. We e-mailed a•••@•••.",
            "wait",
        ),
        (
            login("sms", sent={"sms": REFUSED, "email": {"state": "failed", "next": "none"}}),
            "Neither the SMS nor the e-mail could be delivered.",
            "bad",
        ),
        (login("sms", sent={"sms": LOST}), f"The SMS to {SMS} could not be delivered.", "bad"),
        (
            login("sms", sent={"sms": LOST}, channels=["sms"]),
            f"The SMS to {SMS} could not be delivered, and there is no e-mail address on file to send to instead.",
            "bad",
        ),
        (login("email", sent={"email": LOST}), f"The e-mail to {EMAIL} could not be delivered.", "bad"),
    ],
)
def test_the_news_say_what_became_of_the_code(row: dict[str, Any], news: str, tone: str):
    found = told(HOUSE, row)
    assert (found.open, found.news, found.tone) == (True, news, tone)


def test_an_sms_that_just_failed_says_at_once_that_the_email_is_on_its_way():
    failed = {**REFUSED, "at": (NOW - timedelta(seconds=1)).isoformat()}
    assert told(HOUSE, login("sms", "email", sent={"sms": failed})).news == (
        f"The SMS could not be delivered. E-mailing {EMAIL} instead."
    )


def test_an_email_that_seems_to_be_older_than_the_failure_that_made_it_is_its_successor_all_the_same():
    """Seen: two calls of delivery are timed apart, and the faster one's time was the earlier."""
    mail = {"state": "sent", "cause": "fallback:login", "at": (NOW - timedelta(seconds=21)).isoformat()}
    sent = login("sms", "email", sent={"sms": REFUSED, "email": mail})
    assert told(HOUSE, sent).news == f"The SMS could not be delivered. We e-mailed {EMAIL}."
    another = login("sms", "email", sent={"sms": REFUSED, "email": mail | {"cause": "resend:1"}})
    assert told(HOUSE, another).news.startswith(f"The SMS could not be delivered. E-mailing {EMAIL} instead.")


def test_with_the_broker_away_the_page_says_that_the_code_is_queued_and_goes_out_by_itself():
    news = told(HOUSE, login("sms", sent={"sms": {"state": "queued", **OLD}})).news
    assert "the code is queued and goes out by itself" in news


@pytest.mark.parametrize(
    ("more", "title", "says"),
    [
        ({"expires_at": NOW}, "The code has expired", "Sign in again"),
        ({"attempts": 5}, "Too many wrong codes", "Sign in again"),
        ({"now_user_epoch": 2}, "This sign-in has ended", "An administrator asked for a new sign-in"),
        ({"state": "closed", "closed_why": "contact-changed"}, "This sign-in has ended", "was changed"),
        ({"locked_at": NOW}, "Sign-in is locked", "until an administrator unlocks it"),
        ({"wrong_lately": 10}, "Too many wrong codes", "quarter of an hour"),
        ({"state": "verified"}, "This sign-in is complete", "completed"),
    ],
)
def test_what_takes_no_code_any_more_says_why_and_what_to_do(more: dict[str, Any], title: str, says: str):
    found = told(HOUSE, login("sms", **more))
    assert (found.open, found.title, found.ways) == (False, title, ())
    assert says in found.news
    assert found.done == (more.get("state") == "verified")


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        (login("sms"), ["Send the SMS again"]),
        (login("email"), ["Send the e-mail again"]),
        (login("sms", "email"), ["Send the SMS again", "Send by e-mail instead"]),
        (
            login("sms", "email", sent={"sms": REFUSED, "email": {"state": "sent"}}),
            ["Send the SMS again", "Send the e-mail again"],
        ),
    ],
)
def test_only_the_users_own_factors_are_offered(row: dict[str, Any], labels: list[str]):
    assert [way.label for way in told(HOUSE, row).ways] == labels
