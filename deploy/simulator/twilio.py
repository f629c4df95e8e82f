"""Twilio's Messages API, as https://www.twilio.com/docs/messaging/api/message-resource describes it."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
from aiohttp import web

from deploy.simulator.faults import Fault, Faults
from deploy.simulator.store import KEPT, Store
from deploy.simulator.submissions import HttpProvider, Submission, possible

BASE: Final = "/2010-04-01/Accounts/{account}"
WORDS: Final = {
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    21211: (400, "The 'To' number is not a valid phone number."),
    21408: (400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number."),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21614: (400, "'To' number is not a valid mobile number"),
}


class Twilio(HttpProvider):
    """Holds the credentials, what it was sent, and the receipts under way."""

    name = "twilio"
    sent_word = "sent"
    finals = ("delivered", "undelivered")
    success = 201

    def __init__(self, store: Store, faults: Faults, sid: str, token: str) -> None:
        super().__init__(store, faults)
        self._sid = sid
        self._token = token
        self._sent: dict[str, dict[str, Any]] = {}

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(f"{BASE}/Messages.json", self.create)
        app.router.add_get(f"{BASE}/Messages.json", self.list_all)
        app.router.add_get(f"{BASE}/Messages/{{sid}}.json", self.fetch)

    async def create(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        refused = self._unauthorized(request)
        if refused is None and (code := _fault_of_form(form)) is not None:
            refused = problem(code)
        return await self.take(request, _sms(form), refused)

    async def list_all(self, request: web.Request) -> web.Response:
        if (refused := self._unauthorized(request)) is not None:
            return refused
        return web.json_response({"messages": list(self._sent.values())[::-1][:50], "page": 0, "page_size": 50})

    async def fetch(self, request: web.Request) -> web.Response:
        if (refused := self._unauthorized(request)) is not None:
            return refused
        found = self._sent.get(request.match_info["sid"])
        return web.json_response(found) if found else problem(20404)

    def resource(self, asked: Submission) -> dict[str, Any]:
        made = _resource(self._sid, asked)
        self._sent[made["sid"]] = made
        if len(self._sent) > KEPT:
            del self._sent[next(iter(self._sent))]
        return made

    def answer(self, resource: dict[str, Any]) -> dict[str, Any]:
        return resource

    def refusal(self, fault: Fault) -> web.Response:
        match fault.mode:
            case "refuse":
                return problem(int(fault.code or 21211), fault.status)
            case "rate_limit":
                return problem(20429, headers={"Retry-After": str(fault.retry_after)})
            case _:
                return problem(20500, fault.status)

    def changed(self, resource: dict[str, Any], status: str) -> None:
        resource.update(_change(status))

    def receipt(self, url: str, resource: dict[str, Any], status: str, forged: bool) -> tuple[bytes, dict[str, str]]:
        form = _callback_form(resource, status, self._sid)
        token = secrets.token_hex(16) if forged else self._token
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature(url, form, token),
        }
        return urlencode(form).encode(), headers

    def _unauthorized(self, request: web.Request) -> web.Response | None:
        try:
            given = aiohttp.BasicAuth.decode(request.headers.get("Authorization", ""))
        except ValueError:
            return problem(20003)
        right = hmac.compare_digest(f"{given.login}:{given.password}".encode(), f"{self._sid}:{self._token}".encode())
        return None if right and request.match_info["account"] == self._sid else problem(20003)


def _sms(form: dict[str, str]) -> Submission:
    """The sender's own name for it stands in the URL that it wants its receipts at, if anywhere."""
    url = form.get("StatusCallback")
    return Submission(
        to=form.get("To", ""),
        sender=form.get("From") or form.get("MessagingServiceSid", ""),
        text=form.get("Body", ""),
        ref=parse_qs(urlsplit(url or "").query).get("token", [None])[0],
        receipts_at=url,
    )


def signature(url: str, form: dict[str, str], token: str) -> str:
    """X-Twilio-Signature: https://www.twilio.com/docs/usage/security#validating-requests."""
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def problem(code: int, status: int | None = None, headers: dict[str, str] | None = None) -> web.Response:
    """Twilio's error body."""
    known, words = WORDS.get(code, (400, "The message could not be sent"))
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": words, "more_info": more, "status": status or known}
    return web.json_response(body, status=status or known, headers=headers)


def _fault_of_form(form: dict[str, str]) -> int | None:
    checks: tuple[tuple[int, Callable[[], bool]], ...] = (
        (21604, lambda: not form.get("To")),
        (21603, lambda: not (form.get("From") or form.get("MessagingServiceSid"))),
        (21602, lambda: not form.get("Body")),
        (21211, lambda: not possible(form["To"])),
    )
    return next((code for code, wrong in checks if wrong()), None)


def _resource(account: str, sms: Submission) -> dict[str, Any]:
    sid, now = "SM" + secrets.token_hex(16), format_datetime(datetime.now(UTC))
    uri = f"/2010-04-01/Accounts/{account}/Messages/{sid}"
    return {
        "sid": sid,
        "account_sid": account,
        "messaging_service_sid": sms.sender if sms.sender.startswith("MG") else None,
        "to": sms.to,
        "from": None if sms.sender.startswith("MG") else sms.sender,
        "body": sms.text,
        "status": "queued",
        "direction": "outbound-api",
        "num_segments": "1",
        "num_media": "0",
        "price": None,
        "price_unit": "USD",
        "error_code": None,
        "error_message": None,
        "api_version": "2010-04-01",
        "date_created": now,
        "date_updated": now,
        "date_sent": None,
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json"},
    }


def _change(status: str) -> dict[str, Any]:
    now = format_datetime(datetime.now(UTC))
    failed = {"error_code": 30003, "error_message": "Unreachable destination handset"}
    return {"status": status, "date_updated": now, "date_sent": now} | (failed if status == "undelivered" else {})


def _callback_form(resource: dict[str, Any], status: str, account: str) -> dict[str, str]:
    form = {
        "AccountSid": account,
        "ApiVersion": "2010-04-01",
        "From": resource["from"] or "",
        "MessageSid": resource["sid"],
        "MessageStatus": status,
        "SmsSid": resource["sid"],
        "SmsStatus": status,
        "To": resource["to"],
    }
    return form | ({"ErrorCode": "30003"} if status == "undelivered" else {})
