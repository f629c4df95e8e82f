"""Who may call what, what a replay does, and which settings stop the start."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.delivery import replay
from services.delivery.channels.vonage import ApplicationJwt
from services.delivery.providers import channels_of, readers_of
from services.delivery.routes.api import HANDLERS
from services.delivery.settings import DeliverySettings
from services.delivery.who import RIGHTS
from services.platform.auth import Client, Right, User, Who, allow
from services.platform.environment import BadSettings
from services.platform.http import Problem
from services.platform.scopes import SCOPES
from services.platform.settings import load
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
    plain = replay.Candidate(uuid4(), uuid4(), "sms", who, b"phone", None, NOW, until, None, False, 0, 0, 0, 0)
    return plain._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "replayed"),
        ({"why": "verified"}, "used"),
        ({"why": "too-many-attempts"}, "closed:too-many-attempts"),
        ({"expires_at": NOW}, "expired"),
        ({"under_way": True}, "under-way"),
        ({"reason": "no-contact"}, "no-contact"),
        ({"reason": "no-contact", "why": "verified"}, "used"),
        ({"user_hour": 5}, "limit"),
        ({"user_day": 20}, "limit"),
        ({"to_hour": 5}, "limit"),
        ({"to_day": 20}, "limit"),
    ],
)
def test_what_a_replay_does_with_a_login(changes, verdict):
    assert replay.verdict(candidate(**changes), NOW, LIMITS) == verdict


def test_one_replay_gives_a_phone_of_many_users_no_more_than_five():
    chosen, counts, _ = replay.sorted_out([candidate(user_id=uuid4()) for _ in range(8)], NOW, LIMITS)
    assert len(chosen) == 5
    assert counts == {"replayed": 5, "limit": 3}


def test_one_replay_gives_a_user_no_more_than_five():
    chosen, counts, _ = replay.sorted_out([candidate(recipient=uuid4().bytes) for _ in range(8)], NOW, LIMITS)
    assert len(chosen) == 5
    assert counts == {"replayed": 5, "limit": 3}


KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
CURVE = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
VONAGE = {
    "GATEPOST_VONAGE_APPLICATION_ID": "an application",
    "GATEPOST_VONAGE_PRIVATE_KEY": PEM,
    "GATEPOST_VONAGE_FROM": "Gatepost",
    "GATEPOST_VONAGE_API_KEY": "a1b2c3d4",
    "GATEPOST_VONAGE_SIGNATURE_SECRET": "a secret",
}
SES = {
    "GATEPOST_SES_REGION": "eu-central-1",
    "GATEPOST_SES_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "GATEPOST_SES_SECRET_ACCESS_KEY": "a secret of Amazon's",
    "GATEPOST_SES_FROM": "codes@example.com",
}
BEYOND = {"GATEPOST_PUBLIC_URL": "https://codes.example.com", "GATEPOST_SMTP_HOST": "mail.example.com"}
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
        (BEYOND | VONAGE | {"GATEPOST_VONAGE_BASE_URL": "http://api.nexmo.com"}, "GATEPOST_VONAGE_BASE_URL"),
        (BEYOND | VONAGE | {"GATEPOST_VONAGE_BASE_URL": "https://10.0.0.1"}, "GATEPOST_VONAGE_BASE_URL"),
        *((VONAGE | {name: ""}, name) for name in VONAGE),
        *((SES | {name: ""}, name) for name in SES),
        (SES | {"GATEPOST_SES_REGION": "eu-1.evil.example/"}, "GATEPOST_SES_REGION"),
        (SES | {"GATEPOST_SES_FROM": "cödes@example.com"}, "GATEPOST_SES_FROM"),
        (BEYOND | SES | {"GATEPOST_SES_BASE_URL": "http://ses.example.com"}, "GATEPOST_SES_BASE_URL"),
        *(({name: VONAGE[name]}, "GATEPOST_VONAGE_APPLICATION_ID") for name in VONAGE),
        (VONAGE | {"GATEPOST_VONAGE_PRIVATE_KEY": "no key"}, "GATEPOST_VONAGE_PRIVATE_KEY.*RSA"),
        (VONAGE | {"GATEPOST_VONAGE_PRIVATE_KEY": CURVE.decode()}, "GATEPOST_VONAGE_PRIVATE_KEY.*RSA"),
    ],
)
def test_a_setting_that_is_wrong_stops_the_start_by_its_name(monkeypatch, more, named):
    for name, value in (GOOD | more).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=named) as bad:
        load(DeliverySettings)
    assert PEM.splitlines()[1] not in str(bad.value)
    assert SES["GATEPOST_SES_SECRET_ACCESS_KEY"] not in str(bad.value)


@pytest.mark.parametrize("more", [{}, BEYOND])
def test_amazon_ses_is_a_provider_by_its_settings(monkeypatch, more):
    for name, value in (GOOD | SES | more).items():
        monkeypatch.setenv(name, value)
    settings = load(DeliverySettings)
    assert SES["GATEPOST_SES_SECRET_ACCESS_KEY"] not in repr(settings)
    assert [(c.name, c.channel) for c in channels_of(settings)] == [("smtp", "email"), ("ses", "email")]


@pytest.mark.parametrize("more", [{}, {"GATEPOST_VONAGE_RECEIPTS": "false", "GATEPOST_VONAGE_API_KEY": ""}, BEYOND])
def test_vonage_is_a_provider_by_its_settings_and_its_key_may_stand_in_a_file(monkeypatch, tmp_path, more):
    (tmp_path / "private.key").write_text(PEM)
    given = GOOD | VONAGE | more | {"GATEPOST_VONAGE_PRIVATE_KEY_FILE": str(tmp_path / "private.key")}
    del given["GATEPOST_VONAGE_PRIVATE_KEY"]
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load(DeliverySettings)
    assert settings.vonage_rsa_key().key_size == 2048
    assert PEM not in repr(settings)
    assert "vonage" in [channel.name for channel in channels_of(settings)]
    assert list(readers_of(settings)) == ([] if "GATEPOST_VONAGE_RECEIPTS" in more else ["vonage"])


def test_an_application_s_token_is_made_anew_before_it_ends_and_when_it_was_refused():
    now = [1_800_000_000.0]
    auth = ApplicationJwt("an application", KEY, lambda: now[0])
    first = auth.token()
    late = {"verify_iat": False, "verify_exp": False}
    claims = jwt.decode(first, KEY.public_key(), algorithms=["RS256"], options=late)  # type: ignore[arg-type]
    assert (claims["application_id"], claims["iat"], claims["exp"]) == ("an application", now[0], now[0] + 900)
    now[0] += 599
    assert auth.token() == first
    now[0] += 1
    second = auth.token()
    assert second != first
    now[0] -= 3600  # the clock was set back
    assert auth.token() != second
    third = auth.token()
    auth.forget()
    assert auth.token() != third


def test_a_provider_on_loopback_beyond_loopback_can_be_allowed_by_name(monkeypatch):
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GATEPOST_PUBLIC_URL", "https://codes.example.com")
    monkeypatch.setenv("GATEPOST_ALLOW_INSECURE", "provider-loopback")
    assert load(DeliverySettings).smtp_host == "127.0.0.1"
