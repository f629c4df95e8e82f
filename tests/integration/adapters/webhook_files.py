"""Webhooks as the contract suite has them: files that lead to a test's server, and receipts signed by the scheme's own
package.
"""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from multidict import CIMultiDict
from standardwebhooks import Webhook as Official

from deploy.local import webhooks
from services.delivery.channels.webhooks import judging
from services.delivery.channels.webhooks.channel import Webhook
from services.delivery.channels.webhooks.judging import Loaded
from services.delivery.channels.webhooks.receipts import WebhookReceipts
from services.delivery.provider import Channel
from services.delivery.receipts import Given, Reader
from services.delivery.vendor_errors import PERMANENT, RETRYABLE, UNKNOWN, VendorError, VendorErrors
from tests.integration.simulator.webhook_driver import RECEIPTS_SECRET, SECRET

TOKEN: Final = "rc_" + "A" * 67
BASE: Final = "https://codes.example.com/gatepost"
NOW: Final = 1_800_000_000.0
TAKEN: Final = (202, {"id": "0195f2c4-8a5e-7000-8000-123456789abc", "status": "accepted"})
FAILED_INSIDE: Final = {"id": "an-id", "status": "accepted", "error": {"code": 1004}}
ERRORS: Final = VendorErrors(
    "webhook",
    "",
    (
        VendorError("1001", "invalid-number", PERMANENT, "", ""),
        VendorError("1004", "unknown-number", PERMANENT, "", ""),
        VendorError("1005", "bad-sender", PERMANENT, "", ""),
        VendorError("1006", "no-credit", PERMANENT, "", ""),
        VendorError("1007", "no-route", PERMANENT, "", ""),
        VendorError("1008", "queue-full", RETRYABLE, "", ""),
        VendorError("1009", "duplicate", UNKNOWN, "", ""),
        VendorError("A-word", "account-suspended", PERMANENT, "", ""),
    ),
)


def rules(section: str, path: str) -> str:
    rule = '[[{}]]\npath = "{}"\nequals = "{}"\nreason = "{}"\nclass = "{}"\n'
    return "\n".join(rule.format(section, path, error.code, error.word, error.kind) for error in ERRORS)


def file_for(channel: str, at: str) -> str:
    """As `make up` writes it, with more errors and statuses."""
    text = webhooks.file_for(channel, at, "secret", "receipts", "codes@gatepost.example")
    text = text.replace('delivered = "delivered"', 'delivered = ["delivered", 7, true]', 1)
    text = text.replace('undelivered = "undelivered"', 'undelivered = ["undelivered", "expired"]')
    first, _, rest = text.partition("[[answer.errors]]")
    receipts = rest[rest.index("[receipts]") :].partition("[[receipts.errors]]")[0] if channel == "sms" else ""
    more = rules("receipts.errors", "data.error.code") if channel == "sms" else ""
    return "\n".join((first, rules("answer.errors", "error.code"), receipts, more))


def loaded(name: str, text: str, local: bool = True, **secrets: str) -> Loaded:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
        for file, secret in ({"secret": SECRET, "receipts": RECEIPTS_SECRET} | secrets).items():
            (folder / file).write_text(f"{secret}\n")
        [found] = judging.load(folder, local)
        return found


def by_sms(base: str) -> Channel:
    return Webhook(loaded("webhook", file_for("sms", base)), f"{BASE}/v1/receipts/webhook")


def by_email(base: str) -> Channel:
    return Webhook(loaded("webhook-email", file_for("email", base)), f"{BASE}/v1/receipts/webhook-email")


def reader() -> Reader:
    source = loaded("webhook", file_for("sms", "http://127.0.0.1")).source
    assert source.receipts is not None
    assert source.webhook.receipts is not None
    return WebhookReceipts("webhook", source.receipts, source.webhook.receipts, now=lambda: NOW)


def signed(status: str, code: str | None = None, key: str | None = None) -> Given:
    said: dict[str, Any] = {"id": "an-id", "reference": TOKEN, "status": {"7": 7, "true": True}.get(status, status)}
    return signed_body({"data": said | ({"error": {"code": int(code)}} if code else {})}, key)


def signed_body(said: Any, key: str | None = None, message_id: str = "msg_1", at: float = NOW) -> Given:
    body = json.dumps(said)
    made = Official(key.encode() if key else RECEIPTS_SECRET).sign(message_id, datetime.fromtimestamp(at, UTC), body)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(int(at)), "webhook-signature": made}
    return Given(query="", content_type="application/json", headers=CIMultiDict(headers), body=body.encode())


def refusal(code: str) -> tuple[int, dict[str, Any]]:
    return 422, {"error": {"code": int(code) if code.isdecimal() else code}}
