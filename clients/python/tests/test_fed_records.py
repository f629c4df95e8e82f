"""A login as a signed record, and what is refused before anything is sent."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import gatepost_client as gp
from gatepost_client.fed_records import Signer

ACCOUNT = "0197a0b0-0000-7000-8000-000000000000"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIGNER = Signer(("cl_1", "a-secret"), ACCOUNT)


def login(**more: Any) -> gp.FedLogin:
    fields: dict[str, Any] = {
        "reference": "order-7781",
        "user": gp.FedUser(external_id="crm-77"),
        "authenticated_at": NOW,
    }
    return gp.FedLogin(**fields | more)


def test_a_login_is_an_event_with_its_reference_as_key():
    where = gp.Context(ip="192.0.2.1", user_agent="x", locale="de", device_id="d-1")
    key, value, headers = SIGNER.record(login(context=where))
    assert key == b"order-7781"
    event = json.loads(value)
    assert event.pop("id")
    assert event == {
        "type": "LoginFed",
        "source": "platform",
        "time": "2026-03-01T12:00:00Z",
        "account_id": ACCOUNT,
        "reference": "order-7781",
        "user": {"external_id": "crm-77"},
        "authenticated_at": "2026-03-01T12:00:00Z",
        "context": {"locale": "de", "device_id": "d-1"},
    }
    assert [name for name, _ in headers] == ["gatepost-signature"]


def test_it_is_signed_with_the_key_that_the_secret_gives():
    _, value, [(_, header)] = SIGNER.record(login())
    seed = hmac.digest(b"a-secret", b"gatepost feed key", hashlib.sha256)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    client_id, _, text = header.decode().partition(":")
    assert client_id == "cl_1"
    public.verify(base64.urlsafe_b64decode(text), b"gatepost logins\n" + value)
    with pytest.raises(InvalidSignature):
        public.verify(base64.urlsafe_b64decode(text), b"gatepost logins\n" + value + b" ")


def test_the_same_login_makes_the_same_record_and_another_one_another():
    east = NOW.astimezone(timezone(timedelta(hours=5)))
    assert SIGNER.record(login()) == SIGNER.record(login(authenticated_at=east))
    ids = {json.loads(SIGNER.record(one).value)["id"] for one in (login(), login(reference="order-7782"))}
    assert len(ids) == 2
    assert "context" not in json.loads(SIGNER.record(login(context=gp.Context(ip="192.0.2.1"))).value)


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"reference": ""}, "bad-reference"),
        ({"reference": "x" * 129}, "bad-reference"),
        ({"reference": "two\nlines"}, "bad-reference"),
        ({"reference": "\ud800"}, "bad-reference"),
        ({"reference": "ada@example.com"}, "bad-reference"),
        ({"reference": "+44 20 7946 0958"}, "bad-reference"),
        ({"reference": 7}, "invalid"),
        ({"user": gp.FedUser()}, "one-of-user-id-and-external-id"),
        ({"user": gp.FedUser(user_id="u", external_id="e")}, "one-of-user-id-and-external-id"),
        ({"user": gp.FedUser(external_id="x" * 129)}, "invalid"),
        ({"user": gp.FedUser(external_id="\ud800")}, "invalid"),
        ({"user": gp.FedUser(external_id="")}, "invalid"),
        ({"user": "crm-77"}, "invalid"),
        ({"user": {"username": "ada"}}, "invalid"),
        ({"authenticated_at": NOW.replace(tzinfo=None)}, "time-without-zone"),
        ({"authenticated_at": datetime.min.replace(tzinfo=UTC)}, "invalid"),
        ({"authenticated_at": 1772366400}, "invalid"),
        ({"context": gp.Context(locale="x" * 513)}, "bad-context"),
        ({"context": gp.Context(origin="a\x00b")}, "bad-context"),
        ({"context": {"country": "DE"}}, "invalid"),
    ],
)
def test_what_gatepost_would_not_take_is_refused_by_its_name(more: dict[str, Any], name: str):
    with pytest.raises(gp.BadRequest) as refused:
        SIGNER.record(login(**more))
    assert refused.value.name == name
    assert refused.value.detail


def test_a_field_that_nobody_knows_is_named():
    with pytest.raises(TypeError, match="username"):
        gp.FedUser(username="ada")  # type: ignore[call-arg]
    row = {"reference": "r-1", "user": {"username": "ada"}, "authenticated_at": NOW}
    with pytest.raises(gp.BadRequest, match=r"username.*\$\.user"):
        SIGNER.record(row)  # type: ignore[arg-type]

    class Named(gp.FedUser, frozen=True, kw_only=True):
        username: str | None = None

    with pytest.raises(gp.BadRequest, match="username"):
        SIGNER.record(login(user=Named(external_id="e", username="bob")))
    assert msgspec.convert(row | {"user": {"external_id": "e"}}, gp.FedLogin).reference == "r-1"


def test_a_client_or_an_account_that_can_be_none_is_refused_at_once():
    with pytest.raises(ValueError, match="gatepost accounts list"):
        Signer(("cl_1", "a-secret"), "demo")
    for pair in (("", "a-secret"), ("cl_1", "")):
        with pytest.raises(ValueError, match="client_id"):
            Signer(pair, ACCOUNT)
    with pytest.raises(ValueError, match="source"):
        Signer(("cl_1", "a-secret"), ACCOUNT, source="")
    assert "a-secret" not in repr(SIGNER)
