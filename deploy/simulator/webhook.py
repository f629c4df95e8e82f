"""A gateway that takes Standard Webhooks, checked and signed by the scheme's own package (https://www.standardwebhooks.com)."""

import json
import secrets
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import standardwebhooks
from aiohttp import web

from deploy.simulator.faults import Fault, Faults
from deploy.simulator.store import KEPT, Store, now
from deploy.simulator.submissions import HttpProvider, Submission, possible

WORDS: Final = {
    "1001": "The recipient is not valid.",
    "1002": "The message is not whole.",
    "1003": "Not signed by you.",
}
NAMES: Final = {"sms": "webhook", "email": "webhook-email"}


@dataclass(frozen=True)
class WebhookAccount:
    """`secret` signs what comes, `receipts_secret` what goes: both `whsec_…`."""

    secret: str = field(repr=False)
    receipts_secret: str = field(repr=False)


class Webhook(HttpProvider):
    """`POST /webhook/sms` and `/webhook/email`. One that came before, by its key, is answered and not taken again."""

    success = 202

    def __init__(self, store: Store, faults: Faults, account: WebhookAccount, channel: str) -> None:
        super().__init__(store, faults)
        self.name, self.channel = NAMES[channel], channel
        self._incoming = standardwebhooks.Webhook(account.secret)
        self._account = account
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(f"/webhook/{self.channel}", self.create)

    async def create(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        asked = _asked(body, request.headers.get("Idempotency-Key"))
        if not self._is_signed(request, body):
            return await self.take(request, asked, problem("1003", 401))
        if not (asked.to and asked.text):
            return await self.take(request, asked, problem("1002"))
        if self.channel == "sms" and not possible(asked.to):
            return await self.take(request, asked, problem("1001"))
        known = self._known.get(asked.key or "")
        if known is not None:
            await self._tried(asked, "repeated", str(self.success), now(), arrived=True)
            return web.json_response(self.answer(known), status=self.success)
        return await self.take(request, asked, None)

    def resource(self, asked: Submission) -> dict[str, Any]:
        made = {"id": str(uuid.uuid4()), "reference": asked.ref}
        if asked.key:
            self._known[asked.key] = made
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return made

    def answer(self, resource: dict[str, Any]) -> dict[str, Any]:
        return {"id": resource["id"], "status": "accepted"}

    def refusal(self, fault: Fault) -> web.Response:
        match fault.mode:
            case "refuse":
                return problem(str(fault.code or 1001), fault.status or 422)
            case "rate_limit":
                return problem("1429", 429, headers={"Retry-After": str(fault.retry_after)})
            case _:
                return problem("1500", fault.status or 500)

    def receipt(self, url: str, resource: dict[str, Any], status: str, forged: bool) -> tuple[bytes, dict[str, str]]:
        said = resource | {"status": status} | ({"error": {"code": 2001}} if status == "undelivered" else {})
        body = json.dumps({"type": f"message.{status}", "data": said}, separators=(",", ":"))
        key = standardwebhooks.Webhook(secrets.token_bytes(32) if forged else self._account.receipts_secret)
        return body.encode(), {"Content-Type": "application/json"} | signed(key, body)

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        try:
            self._incoming.verify(body, dict(request.headers), json_parse=False)
        except (standardwebhooks.WebhookVerificationError, ValueError):
            return False
        return request.headers.get("Idempotency-Key") == request.headers["webhook-id"]


def signed(key: standardwebhooks.Webhook, body: str) -> dict[str, str]:
    """A message's three headers."""
    message_id, at = f"msg_{uuid.uuid4().hex}", datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": key.sign(message_id, at, body),
    }


def problem(code: str, status: int = 422, headers: dict[str, str] | None = None) -> web.Response:
    said = {"error": {"code": code if not code.isdecimal() else int(code), "message": WORDS.get(code, "It failed.")}}
    return web.json_response(said, status=status, headers=headers)


def _asked(body: bytes, key: str | None) -> Submission:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    form = {name: str(value) for name, value in said.items() if value} if isinstance(said, dict) else {}
    return Submission(
        to=form.get("to", ""),
        sender=form.get("from", ""),
        text=form.get("text", ""),
        ref=form.get("reference"),
        receipts_at=form.get("receipts"),
        subject=form.get("subject"),
        html=form.get("html"),
        key=key,
    )
