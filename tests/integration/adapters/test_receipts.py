"""Every adapter against its receipts: what the vendor's own SDK signed is believed, and nothing else."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from multidict import CIMultiDict
from twilio.request_validator import RequestValidator

from services.delivery.channels.twilio_receipts import TwilioReceipts
from services.delivery.channels.vonage_receipts import CLOCKS_APART, LONGEST_AGE, VonageReceipts
from services.delivery.receipts import Forged, Given, Receipt
from services.delivery.states import State
from tests.integration.adapters.vendors import (
    SIGNED,
    VENDORS,
    Vendor,
    changed,
    twilio_form,
    twilio_json,
    vonage_signed,
)
from tests.integration.adapters.webhook_files import BASE, NOW, TOKEN
from tests.integration.simulator.drivers import TOKEN as TWILIO_TOKEN
from tests.integration.simulator.vonage_driver import API_KEY, APPLICATION, KEY, SECRET

every_form = pytest.mark.parametrize(("vendor", "form"), SIGNED, ids=str)


def signed(vendor: Vendor, form: str, status: str | None = None, **more: Any) -> Given:
    return vendor.receipts[form](status or vendor.delivered[0], **more)


def read_by(vendor: Vendor) -> Callable[[Given], Receipt]:
    assert vendor.reader is not None
    return vendor.reader().read


def refused(vendor: Vendor, given: Given) -> bool:
    try:
        read_by(vendor)(given)
    except Forged:
        return True
    return False


@every_form
def test_a_delivered_message_is_named_by_our_token(vendor: Vendor, form: str):
    for status in vendor.delivered:
        receipt = read_by(vendor)(signed(vendor, form, status))
        assert receipt.token == TOKEN
        assert receipt.result is not None
        assert (receipt.result.state, receipt.result.reason, receipt.result.provider) == (
            State.DELIVERED,
            None,
            vendor.name,
        )


@every_form
def test_a_failure_has_the_reason_of_its_code(vendor: Vendor, form: str):
    for status in vendor.not_delivered:
        for known in vendor.errors:
            if known.code.isdecimal():
                result = read_by(vendor)(signed(vendor, form, status, code=known.code)).result
                assert result is not None
                assert (result.state, result.reason) == (State.UNDELIVERED, known.reason)
        result = read_by(vendor)(signed(vendor, form, status)).result
        assert result is not None
        assert result.reason == "refused"


@every_form
def test_a_status_that_says_nothing_yet_says_nothing(vendor: Vendor, form: str):
    for status in vendor.quiet:
        assert read_by(vendor)(signed(vendor, form, status or "accepted")).result is None


@every_form
def test_every_byte_of_the_body_is_signed(vendor: Vendor, form: str):
    given = signed(vendor, form)
    for place in range(len(given.body)):
        body = bytearray(given.body)
        body[place] ^= 1
        assert refused(vendor, changed(given, body=bytes(body))), given.body[: place + 1]
    for other in (given.body + b"x", given.body[:-1], b"", given.body * 2):
        assert refused(vendor, changed(given, body=other))


@every_form
def test_every_character_of_the_signature_counts(vendor: Vendor, form: str):
    given = signed(vendor, form)
    header = vendor.signature
    value = given.headers[header]
    more = {name: other for name, other in given.headers.items() if name != header}
    for place in range(len(value)):
        other = chr(ord(value[place]) ^ 1)
        altered = CIMultiDict(more | {header: value[:place] + other + value[place + 1 :]})
        assert refused(vendor, changed(given, headers=altered)), value[: place + 1]
    for wrong in ("", "x", value[:-1], value + "A", value + value, "Bearer", "Bearer ", "\udcff", "ü", value[::-1]):
        assert refused(vendor, changed(given, headers=CIMultiDict(more | {header: wrong})))
    assert refused(vendor, changed(given, headers=CIMultiDict(more)))
    assert refused(vendor, changed(given, headers=CIMultiDict()))


@every_form
def test_another_key_signs_nothing(vendor: Vendor, form: str):
    assert refused(vendor, signed(vendor, form, key="another key, as long as the right one"))


@pytest.mark.parametrize("form", ["form", "json"])
def test_twilio_signs_the_whole_address(form: str):
    vendor = VENDORS[0]
    given = signed(vendor, form)
    for place in range(len(given.query)):
        query = given.query[:place] + chr(ord(given.query[place]) ^ 1) + given.query[place + 1 :]
        assert refused(vendor, changed(given, query=query)), query
    for query in ("", f"{given.query}&more=1", f"more=1&{given.query}", given.query.partition("&")[0][:-1]):
        assert refused(vendor, changed(given, query=query))
    for url in (
        f"{BASE}/v1/receipts/vonage",
        f"{BASE}/v1/receipts/twilio/",
        f"{BASE.replace('https', 'http')}/v1/receipts/twilio",
        f"{BASE.replace('codes', 'code')}/v1/receipts/twilio",
        f"{BASE.replace('/gatepost', '')}/v1/receipts/twilio",
        f"{BASE.replace('.com', '.com:8443')}/v2/receipts/twilio",
    ):
        with pytest.raises(Forged):
            TwilioReceipts(url, TWILIO_TOKEN).read(given)


@pytest.mark.parametrize("ours", ["", ":443"])
@pytest.mark.parametrize("theirs", ["", ":443"])
def test_twilio_may_write_the_port_or_leave_it_out(ours: str, theirs: str):
    """As its own validator allows for: https://www.twilio.com/docs/usage/security#validating-requests"""
    plain = f"{BASE}/v1/receipts/twilio"
    given, form = twilio_form("delivered"), {"MessageStatus": "delivered"}
    url = f"{plain.replace('.com', f'.com{theirs}')}?{given.query}"
    value = RequestValidator(TWILIO_TOKEN).compute_signature(url, form)
    told = changed(given, body=b"MessageStatus=delivered", headers=CIMultiDict({"X-Twilio-Signature": value}))
    assert TwilioReceipts(plain.replace(".com", f".com{ours}"), TWILIO_TOKEN).read(told).token == TOKEN


@pytest.mark.parametrize("byte", ["%FF", "\udcff"])
def test_bytes_that_are_no_text_are_not_taken_for_others(byte: str):
    """Neither is what Twilio sends; what stands for U+FFFD in one must not in the other."""
    body = f"MessageStatus=delivered&Note={byte}".encode(errors="surrogateescape")
    form = {"MessageStatus": "delivered", "Note": "\ufffd"}
    given = twilio_form("delivered")
    value = RequestValidator(TWILIO_TOKEN).compute_signature(f"{BASE}/v1/receipts/twilio?{given.query}", form)
    assert refused(VENDORS[0], changed(given, body=body, headers=CIMultiDict({"X-Twilio-Signature": value})))


@pytest.mark.parametrize("make", [twilio_form, twilio_json])
def test_a_body_of_another_type_is_not_what_twilio_signed(make: Any):
    given = make("delivered")
    for other in ("application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        if (other == "application/json") is not (given.content_type == "application/json"):
            assert refused(VENDORS[0], changed(given, content_type=other))


@pytest.mark.parametrize("body", [b"[]", b"7", b"{", b"\xff", b"[" * 60_000])
def test_a_signed_body_that_is_no_object_is_refused(body: bytes):
    text = body.decode("latin-1")
    given = twilio_json("delivered")
    hashed = hashlib.sha256(body).hexdigest()
    query = f"token={TOKEN}&bodySHA256={hashed}"
    value = RequestValidator(TWILIO_TOKEN).compute_signature(f"{BASE}/v1/receipts/twilio?{query}", {})
    headers = CIMultiDict({"X-Twilio-Signature": value})
    assert refused(VENDORS[0], changed(given, query=query, body=body, headers=headers)), text[:9]


OUTSIDE: Final[dict[str, dict[str, Any]]] = {
    "of yesterday": {"iat": NOW - LONGEST_AGE - 1},
    "of tomorrow": {"iat": NOW + CLOCKS_APART + 1},
    "without a time": {"iat": None},
    "a time in words": {"iat": "now"},
    "a time that is none": {"iat": True},
    "expired": {"exp": NOW - CLOCKS_APART - 1},
    "an end in words": {"exp": "later"},
    "another account": {"api_key": "b1b2c3d4"},
    "no account": {"api_key": None},
    "another application": {"application_id": APPLICATION[::-1]},
    "an application that is none": {"application_id": 7},
    "another body": {"payload_hash": hashlib.sha256(b"another").hexdigest()},
    "no hash": {"payload_hash": None},
    "a hash that is none": {"payload_hash": ["a"]},
    "a hash without end": {"payload_hash": "a" * 65},
}
SAID: Final = {"status": "delivered", "client_ref": TOKEN}


@pytest.mark.parametrize("case", OUTSIDE)
def test_vonages_claims_are_checked(case: str):
    assert refused(VENDORS[1], vonage_signed(SAID, **OUTSIDE[case]))


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": NOW - LONGEST_AGE + 1},
        {"iat": NOW + CLOCKS_APART - 1},
        {"exp": NOW + 1},
        {"application_id": None},
        {"jti": None, "iss": None},
        {"more": "claims"},
    ],
)
def test_vonages_claims_may_vary_within_bounds(claims: dict[str, Any]):
    assert read_by(VENDORS[1])(vonage_signed(SAID, **claims)).token == TOKEN


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_jwt_by_another_algorithm_is_none():
    given = vonage_signed(SAID)
    token = given.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_iat": False})
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    none = _unsigned({"alg": "none", "typ": "JWT"}, claims)
    for forged in (
        jwt.encode(claims, KEY, algorithm="RS256"),
        jwt.encode(claims, SECRET, algorithm="HS512"),
        jwt.encode(claims, SECRET, algorithm="HS384"),
        jwt.encode(claims, hashlib.sha256(public).hexdigest(), algorithm="HS256"),
        none,
        f"{none}AAAA",
        f"{token.rpartition('.')[0]}.",
        token.partition(".")[2],
        f"{token}.{token}",
        "." * 100_000,
    ):
        headers = CIMultiDict({"Authorization": f"Bearer {forged}"})
        assert refused(VENDORS[1], changed(given, headers=headers)), forged[:40]


def _unsigned(*parts: dict[str, Any]) -> str:
    told = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*told, ""])


@pytest.mark.parametrize("scheme", ["Basic", "Token", "bearer-ish", ""])
def test_another_scheme_carries_no_jwt(scheme: str):
    given = vonage_signed(SAID)
    token = given.headers["Authorization"].removeprefix("Bearer ")
    headers = CIMultiDict({"Authorization": f"{scheme} {token}".strip()})
    assert refused(VENDORS[1], changed(given, headers=headers))


def test_a_short_secret_that_vonage_chose_is_no_reason_to_warn(recwarn: pytest.WarningsRecorder):
    reader = VonageReceipts("sixteen letters!", API_KEY, APPLICATION, now=lambda: NOW)
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        given = vonage_signed(SAID, key="sixteen letters!")
    assert reader.read(given).token == TOKEN
    assert [w for w in recwarn if w.category is jwt.warnings.InsecureKeyLengthWarning] == []


@pytest.mark.parametrize("ref", [None, 7, {"a": 1}, ["x"]])
def test_a_reference_that_is_no_text_names_nobody(ref: Any):
    assert read_by(VENDORS[1])(vonage_signed({"status": "delivered", "client_ref": ref})).token is None


@pytest.mark.parametrize("error", [None, 7, "1120", [], {"type": 7, "title": []}, {"type": "#", "title": "no number"}])
def test_an_error_that_says_nothing_is_a_refusal(error: Any):
    result = read_by(VENDORS[1])(vonage_signed({"status": "rejected", "error": error})).result
    assert result is not None
    assert (result.state, result.reason) == (State.UNDELIVERED, "refused")


def test_vonages_code_stands_in_the_type_or_the_title():
    for error in ({"type": "https://x/api-errors/messages#1240", "title": "Illegal"}, {"title": "1240"}):
        result = read_by(VENDORS[1])(vonage_signed({"status": "rejected", "error": error})).result
        assert result is not None
        assert result.reason == "opted-out:1240"
