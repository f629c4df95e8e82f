"""What the contract suite has to know of each vendor: its adapter, its words, and how its own SDK signs.

A new adapter gets a row in `VENDORS`; every test runs for it.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

import jwt
from multidict import CIMultiDict
from twilio.request_validator import RequestValidator

from deploy.simulator.vonage import error
from services.delivery.channels import ses_errors, twilio_errors, vonage_errors
from services.delivery.channels.ses import Ses
from services.delivery.channels.twilio import Twilio
from services.delivery.channels.twilio_receipts import TwilioReceipts
from services.delivery.channels.vonage import ApplicationJwt, Vonage
from services.delivery.channels.vonage_receipts import VonageReceipts
from services.delivery.provider import Channel, Message
from services.delivery.receipts import Given, Reader
from services.delivery.vendor_errors import VendorErrors
from tests.integration.adapters import webhook_files
from tests.integration.adapters.webhook_files import BASE, NOW, TOKEN
from tests.integration.simulator.drivers import FROM, MAIL, PHONE, SID
from tests.integration.simulator.drivers import TOKEN as TWILIO_TOKEN
from tests.integration.simulator.ses_driver import KEY_ID, REGION, SES_SECRET
from tests.integration.simulator.vonage_driver import API_KEY, APPLICATION, KEY, SECRET

MESSAGE: Final = Message("an id", PHONE, "a subject", "Your code is 123456", token=TOKEN)
MAILED: Final = Message("an id", MAIL, "Your code", "Your code is 123456", "<p>Your code is 123456</p>", token=TOKEN)
Json = dict[str, Any]


class Signs(Protocol):
    """A receipt as the vendor sends it. `code` is the error, `key` another secret than the right one."""

    def __call__(self, status: str, code: str | None = None, key: str | None = None) -> Given: ...


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """`asks` stands in every request, `ref` is what the simulator finds as the sender's own name for a message,
    `signature` is the header of a receipt's.
    """

    name: str
    errors: VendorErrors
    channel: Callable[[str], Channel]
    message: Message = MESSAGE
    asks: tuple[str, ...]
    ref: str | None = TOKEN
    failed_word: str = "unknown-number"
    signature: str = "Authorization"
    reader: Callable[[], Reader] | None = None
    receipts: dict[str, Signs]
    taken: tuple[int, Json]
    refs: str
    refusal: Callable[[str], tuple[int, Json]]
    failed_inside: Json
    delivered: tuple[str, ...] = ()
    not_delivered: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    default_fault: str

    def __repr__(self) -> str:
        return self.name

    @property
    def medium(self) -> str:
        return "email" if "@" in self.message.to else "sms"


def quoted(url: str) -> str:
    return quote(url, safe="")


def twilio(base: str) -> Channel:
    return Twilio(base_url=base, sid=SID, token=TWILIO_TOKEN, sender=FROM, callback=f"{BASE}/v1/receipts/twilio")


def vonage(base: str) -> Channel:
    auth = ApplicationJwt(APPLICATION, KEY)
    return Vonage(base_url=base, auth=auth, sender="Gatepost", callback=f"{BASE}/v1/receipts/vonage")


def ses(base: str) -> Channel:
    return Ses(region=REGION, key_id=KEY_ID, secret=SES_SECRET, sender="codes@gatepost.example", base_url=base)


def twilio_reader() -> Reader:
    return TwilioReceipts(f"{BASE}/v1/receipts/twilio", TWILIO_TOKEN)


def vonage_reader() -> Reader:
    return VonageReceipts(SECRET, API_KEY, APPLICATION, now=lambda: NOW)


def _twilio_fields(status: str, code: str | None) -> dict[str, str]:
    fields = {"AccountSid": SID, "MessageSid": "SM" + "1" * 32, "MessageStatus": status, "To": PHONE, "From": FROM}
    return fields | ({"ErrorCode": code} if code else {})


def twilio_form(status: str, code: str | None = None, key: str | None = None) -> Given:
    fields, query = _twilio_fields(status, code), f"token={TOKEN}"
    signed = RequestValidator(key or TWILIO_TOKEN).compute_signature(f"{BASE}/v1/receipts/twilio?{query}", fields)
    return Given(
        query=query,
        content_type="application/x-www-form-urlencoded",
        headers=CIMultiDict({"X-Twilio-Signature": signed}),
        body=urlencode(fields, quote_via=quote).encode(),
    )


def twilio_json(status: str, code: str | None = None, key: str | None = None) -> Given:
    validator = RequestValidator(key or TWILIO_TOKEN)
    body = json.dumps(_twilio_fields(status, code))
    query = f"token={TOKEN}&bodySHA256={validator.compute_hash(body)}"
    signed = validator.compute_signature(f"{BASE}/v1/receipts/twilio?{query}", {})
    headers = CIMultiDict({"X-Twilio-Signature": signed})
    return Given(query=query, content_type="application/json", headers=headers, body=body.encode())


def vonage_status(status: str, code: str | None = None, key: str | None = None) -> Given:
    said: Json = {"message_uuid": "0" * 8, "to": PHONE[1:], "from": "Gatepost", "status": status, "client_ref": TOKEN}
    return vonage_signed(said | ({"error": error(code, title=code)} if code else {}), key=key)


def vonage_signed(said: Json, key: str | None = None, **claims: Any) -> Given:
    """`claims` replace Vonage's own; None leaves one out."""
    body = json.dumps(said).encode()
    usual = {
        "iat": int(NOW),
        "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5",
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": API_KEY,
        "application_id": APPLICATION,
    }
    kept = {name: value for name, value in (usual | claims).items() if value is not None}
    headers = CIMultiDict({"Authorization": f"Bearer {jwt.encode(kept, key or SECRET, algorithm='HS256')}"})
    return Given(query="", content_type="application/json", headers=headers, body=body)


def twilio_refusal(code: str) -> tuple[int, Json]:
    return 400, {"code": int(code), "message": "…", "more_info": "…", "status": 400}


def vonage_refusal(code: str) -> tuple[int, Json]:
    return 422, error(code)


def ses_refusal(code: str) -> tuple[int, Json]:
    """Two of the codes are what a message says."""
    said = next((words for words, known in ses_errors.SAID.items() if known == code), "…")
    return 400, {"__type": f"com.amazonaws.sesv2#{code}:http://amazon.example/", "message": f"The {said}."}


VENDORS: Final = (
    Vendor(
        name="twilio",
        errors=twilio_errors.ERRORS,
        channel=twilio,
        asks=(PHONE[1:], TOKEN, quoted(f"{BASE}/v1/receipts/twilio")),
        reader=twilio_reader,
        receipts={"form": twilio_form, "json": twilio_json},
        taken=(201, {"sid": "SM" + "1" * 32, "status": "queued", "error_code": None}),
        refs="sid",
        signature="X-Twilio-Signature",
        refusal=twilio_refusal,
        failed_inside={"sid": "SM1", "status": "failed", "error_code": 30005},
        delivered=("delivered", "read"),
        not_delivered=("undelivered", "failed"),
        quiet=("queued", "sending", "sent", "", "nonsense"),
        default_fault="21211",
    ),
    Vendor(
        name="vonage",
        errors=vonage_errors.ERRORS,
        channel=vonage,
        asks=(PHONE[1:], TOKEN, f"{BASE}/v1/receipts/vonage"),
        reader=vonage_reader,
        receipts={"status": vonage_status},
        taken=(202, {"message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"}),
        refs="message_uuid",
        refusal=vonage_refusal,
        failed_inside=error("1190"),
        delivered=("delivered", "read"),
        not_delivered=("rejected", "undeliverable"),
        quiet=("submitted", "", "nonsense"),
        default_fault="1120",
    ),
    Vendor(
        name="ses",
        errors=ses_errors.ERRORS,
        channel=ses,
        message=MAILED,
        asks=(MAIL, "Your code is 123456", "<p>Your code is 123456</p>", "codes@gatepost.example", "auto-generated"),
        ref=None,
        receipts={},
        taken=(200, {"MessageId": "010001234567890a-aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab-000000"}),
        refs="MessageId",
        refusal=ses_refusal,
        failed_inside={"__type": "AccountSuspendedException", "message": "…"},
        failed_word="account-suspended",
        default_fault="MessageRejected",
    ),
    Vendor(
        name="webhook",
        errors=webhook_files.ERRORS,
        channel=webhook_files.by_sms,
        reader=webhook_files.reader,
        receipts={"json": webhook_files.signed},
        signature="webhook-signature",
        asks=(PHONE, TOKEN, f"{BASE}/v1/receipts/webhook"),
        taken=webhook_files.TAKEN,
        refs="id",
        refusal=webhook_files.refusal,
        failed_inside=webhook_files.FAILED_INSIDE,
        delivered=("delivered", "7", "true"),
        not_delivered=("undelivered", "expired"),
        quiet=("sent", "", "nonsense"),
        default_fault="1001",
    ),
    Vendor(
        name="webhook-email",
        errors=webhook_files.ERRORS,
        channel=webhook_files.by_email,
        message=MAILED,
        receipts={},
        asks=(MAIL, TOKEN, "Your code is 123456", "<p>Your code is 123456</p>", "codes@gatepost.example"),
        taken=webhook_files.TAKEN,
        refs="id",
        refusal=webhook_files.refusal,
        failed_inside=webhook_files.FAILED_INSIDE,
        default_fault="1001",
    ),
)
BY_SMS: Final = [vendor for vendor in VENDORS if vendor.medium == "sms"]
SIGNED: Final = [(vendor, form) for vendor in VENDORS for form in vendor.receipts]


def changed(given: Given, **fields: Any) -> Given:
    return replace(given, **fields)


def clock() -> float:
    return time.monotonic()
