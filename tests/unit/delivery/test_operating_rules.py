"""Who may call what, what a replay does, and which settings stop the start."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.delivery import replay
from services.delivery.routes.api import HANDLERS
from services.delivery.settings import DeliverySettings
from services.delivery.who import RIGHTS
from services.platform.auth import SCOPES, Client, Right, User, Who, allow
from services.platform.http import Problem
from services.platform.settings import BadSettings, load
from tests.unit.delivery.jobs import NOW

OWN, FOREIGN = str(UUID(int=1)), str(UUID(int=2))


def permitted(who: Who, needed: Right, account: str) -> int:
    try:
        allow(who, needed, account, NOW)
    except Problem as problem:
        return problem.status
    return 200


@pytest.mark.parametrize("call", sorted(RIGHTS))
@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_a_client_needs_the_calls_scope_and_reaches_no_foreign_account(call, scope):
    needed = RIGHTS[call]
    client = Client("c", OWN, frozenset({scope}))
    everywhere = Client("c", "*", frozenset({scope}))
    fits = scope in needed.scopes
    assert permitted(everywhere, needed, FOREIGN) == (200 if fits else 403)
    if not fits or needed.installation:
        assert permitted(client, needed, OWN) == 403
    else:
        assert permitted(client, needed, OWN) == 200
        assert permitted(client, needed, FOREIGN) == 404


@pytest.mark.parametrize("call", sorted(RIGHTS))
@pytest.mark.parametrize("role", ["user", "admin", "operator"])
def test_a_person_needs_the_calls_role_and_a_fresh_sign_in_for_what_changes(call, role):
    needed = RIGHTS[call]
    person = User("u", OWN, role, NOW)
    stale = User("u", OWN, role, NOW - timedelta(hours=1))
    if role not in needed.roles:
        assert permitted(person, needed, OWN) == 403
        return
    assert permitted(person, needed, OWN) == 200
    assert permitted(person, needed, FOREIGN) == (200 if role == "operator" else 404)
    assert permitted(stale, needed, OWN) == (401 if needed.fresh else 200)


def test_every_call_stands_in_the_who_table():
    assert set(HANDLERS) == set(RIGHTS)


LIMITS = replay.Limits(hour=5, day=20)


def candidate(**changes: Any) -> replay.Candidate:
    who, until = UUID(int=9), NOW + timedelta(seconds=60)
    plain = replay.Candidate(uuid4(), uuid4(), "sms", who, b"phone", until, None, False, 0, 0, 0, 0)
    return plain._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "replayed"),
        ({"why": "verified"}, "used"),
        ({"why": "too-many-attempts"}, "closed:too-many-attempts"),
        ({"expires_at": NOW}, "expired"),
        ({"under_way": True}, "under-way"),
        ({"user_hour": 5}, "limit"),
        ({"user_day": 20}, "limit"),
        ({"to_hour": 5}, "limit"),
        ({"to_day": 20}, "limit"),
    ],
)
def test_what_a_replay_does_with_a_login(changes, verdict):
    assert replay.verdict(candidate(**changes), NOW, LIMITS) == verdict


def test_one_replay_gives_a_phone_of_many_users_no_more_than_five():
    chosen, counts = replay.sorted_out([candidate(user_id=uuid4()) for _ in range(8)], NOW, LIMITS)
    assert len(chosen) == 5
    assert counts == {"replayed": 5, "limit": 3}


def test_one_replay_gives_a_user_no_more_than_five():
    chosen, counts = replay.sorted_out([candidate(recipient=uuid4().bytes) for _ in range(8)], NOW, LIMITS)
    assert len(chosen) == 5
    assert counts == {"replayed": 5, "limit": 3}


GOOD = {
    "GATEPOST_KAFKA": "127.0.0.1:9092",
    "GATEPOST_DATABASE": "postgresql://d@127.0.0.1/d",
    "GATEPOST_KEYS": ".",
    "GATEPOST_SMTP_HOST": "127.0.0.1",
}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"GATEPOST_SMTP_HOST": ""}, "GATEPOST_SMTP_HOST"),
        ({"GATEPOST_TWILIO_ACCOUNT_SID": "AC1"}, "GATEPOST_TWILIO_AUTH_TOKEN"),
        ({"GATEPOST_SMTP_USER": "u"}, "GATEPOST_SMTP_PASSWORD"),
        ({"GATEPOST_SMTP_SECURITY": "ssl"}, "GATEPOST_SMTP_SECURITY"),
        ({"GATEPOST_SLOTS": "0"}, "GATEPOST_SLOTS"),
        ({"GATEPOST_SMTP_PORT": "99999"}, "GATEPOST_SMTP_PORT"),
        ({"GATEPOST_PUBLIC_URL": "https://codes.example.com"}, "provider-loopback"),
    ],
)
def test_a_setting_that_is_wrong_stops_the_start_by_its_name(monkeypatch, more, named):
    for name, value in (GOOD | more).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=named):
        load(DeliverySettings)


def test_a_provider_on_loopback_beyond_loopback_can_be_allowed_by_name(monkeypatch):
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GATEPOST_PUBLIC_URL", "https://codes.example.com")
    monkeypatch.setenv("GATEPOST_ALLOW_INSECURE", "provider-loopback")
    assert load(DeliverySettings).smtp_host == "127.0.0.1"
