"""Twilio's Messages API, as https://www.twilio.com/docs/messaging/api/message-resource describes it."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import phonenumbers
from aiohttp import web

from deploy.simulator.faults import Fault, Faults
from deploy.simulator.store import KEPT, Attempt, Message, Store, code_in, now

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
NOT_TAKEN: Final = ("refuse", "error", "rate_limit", "hang", "reset")
# What an attempt shows as the answer where the client may never see one.
UNANSWERED: Final = {"hang": "hang", "slow_drip": "slow", "reset": "cut"}


class Twilio:
    """Holds the credentials, what it was sent, and the receipts under way."""

    def __init__(self, store: Store, faults: Faults, sid: str, token: str) -> None:
        self._store = store
        self._faults = faults
        self._sid = sid
        self._token = token
        self._sent: dict[str, dict[str, Any]] = {}
        self._receipts: set[asyncio.Task[None]] = set()

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(f"{BASE}/Messages.json", self.create)
        app.router.add_get(f"{BASE}/Messages.json", self.list_all)
        app.router.add_get(f"{BASE}/Messages/{{sid}}.json", self.fetch)

    async def create(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        came = now()
        refused = self._unauthorized(request)
        if refused is None and (code := _fault_of_form(form)) is not None:
            refused = problem(code)
        if refused is not None:
            await self._store.tried(_attempt(form, None, str(refused.status), came, arrived=False))
            return refused
        return await self._faulty(request, form, self._faults.take("sms", form["To"]), came)

    async def _faulty(
        self, request: web.Request, form: dict[str, str], fault: Fault | None, came: str
    ) -> web.StreamResponse:
        mode = fault.mode if fault else None
        arrived = mode not in NOT_TAKEN
        if mode in UNANSWERED:
            await self._store.tried(_attempt(form, mode, UNANSWERED[mode], came, arrived))
        answer = await self._answered(request, form, fault)
        if mode not in UNANSWERED:
            await self._store.tried(_attempt(form, mode, str(answer.status), came, arrived))
        return answer

    async def list_all(self, request: web.Request) -> web.Response:
        if (refused := self._unauthorized(request)) is not None:
            return refused
        return web.json_response({"messages": list(self._sent.values())[::-1][:50], "page": 0, "page_size": 50})

    async def fetch(self, request: web.Request) -> web.Response:
        if (refused := self._unauthorized(request)) is not None:
            return refused
        found = self._sent.get(request.match_info["sid"])
        return web.json_response(found) if found else problem(20404)

    async def close(self) -> None:
        for task in self._receipts:
            task.cancel()
        await asyncio.gather(*self._receipts, return_exceptions=True)

    def _unauthorized(self, request: web.Request) -> web.Response | None:
        try:
            given = aiohttp.BasicAuth.decode(request.headers.get("Authorization", ""))
        except ValueError:
            return problem(20003)
        right = hmac.compare_digest(f"{given.login}:{given.password}".encode(), f"{self._sid}:{self._token}".encode())
        return None if right and request.match_info["account"] == self._sid else problem(20003)

    async def _answered(self, request: web.Request, form: dict[str, str], fault: Fault | None) -> web.StreamResponse:
        if fault is None or fault.mode.endswith("_receipt") or fault.mode == "undelivered":
            return web.json_response(await self._taken(form, fault), status=201)
        match fault.mode:
            case "reset":
                return _cut(request)
            case "slow_drip":
                return await _drip(request, await self._taken(form, fault), fault.seconds)
            case "hang":
                await asyncio.sleep(fault.seconds)
            case "error_after_accept":
                await self._accept(form, fault, accepted=False)
        return _refusal(fault)

    async def _taken(self, form: dict[str, str], fault: Fault | None) -> dict[str, Any]:
        resource = await self._accept(form, fault)
        self._soon(self._progress(form.get("StatusCallback"), resource, fault))
        return dict(resource)

    async def _accept(self, form: dict[str, str], fault: Fault | None, accepted: bool = True) -> dict[str, Any]:
        message = Message("sms", form["To"], form.get("From") or form["MessagingServiceSid"], form["Body"])
        message.accepted, message.fault = accepted, fault.mode if fault else None
        await self._store.add(message)
        resource = _resource(self._sid, form)
        self._sent[resource["sid"]] = resource
        if len(self._sent) > KEPT:
            del self._sent[next(iter(self._sent))]
        return resource

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._receipts.add(task)
        task.add_done_callback(self._receipts.discard)

    async def _progress(self, url: str | None, resource: dict[str, Any], fault: Fault | None) -> None:
        """Sent, then delivered or not; each told to `url` unless the fault says otherwise."""
        mode = fault.mode if fault else None
        if fault and mode == "late_receipt":
            await asyncio.sleep(fault.seconds)
        final = "undelivered" if mode == "undelivered" else "delivered"
        for status in ("sent", final, *((final,) if mode == "double_receipt" else ())):
            resource.update(_change(status))
            if url and mode != "no_receipt":
                form = _callback_form(resource, status, self._sid)
                token = secrets.token_hex(16) if mode == "forged_receipt" else self._token
                await _post(url, form, signature(url, form, token))


def _attempt(form: dict[str, str], mode: str | None, answered: str, came: str, arrived: bool) -> Attempt:
    """The sender's own name for it stands in the URL that it wants its receipts at, if anywhere."""
    ref = parse_qs(urlsplit(form.get("StatusCallback", "")).query).get("delivery", [None])[0]
    code = code_in(form.get("Body", ""))
    return Attempt("sms", form.get("To", ""), mode, answered, arrived, code, ref, came)


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


def _refusal(fault: Fault) -> web.Response:
    match fault.mode:
        case "refuse":
            return problem(fault.code or 21211, fault.status)
        case "rate_limit":
            return problem(20429, headers={"Retry-After": str(fault.retry_after)})
        case _:
            return problem(20500, fault.status)


def _fault_of_form(form: dict[str, str]) -> int | None:
    checks: tuple[tuple[int, Callable[[], bool]], ...] = (
        (21604, lambda: not form.get("To")),
        (21603, lambda: not (form.get("From") or form.get("MessagingServiceSid"))),
        (21602, lambda: not form.get("Body")),
        (21211, lambda: not _possible(form["To"])),
    )
    return next((code for code, wrong in checks if wrong()), None)


def _possible(number: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def _resource(account: str, form: dict[str, str]) -> dict[str, Any]:
    sid, now = "SM" + secrets.token_hex(16), format_datetime(datetime.now(UTC))
    uri = f"/2010-04-01/Accounts/{account}/Messages/{sid}"
    return {
        "sid": sid,
        "account_sid": account,
        "messaging_service_sid": form.get("MessagingServiceSid"),
        "to": form["To"],
        "from": form.get("From"),
        "body": form["Body"],
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


async def _post(url: str, form: dict[str, str], signed: str) -> None:
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=form, headers={"X-Twilio-Signature": signed}) as answer,
        ):
            await answer.read()
    except (aiohttp.ClientError, TimeoutError):
        return


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _drip(request: web.Request, resource: dict[str, Any], seconds: float) -> web.StreamResponse:
    """The whole answer, in ten pieces over `seconds`."""
    response = web.StreamResponse(status=201, headers={"Content-Type": "application/json"})
    await response.prepare(request)
    body = json.dumps(resource).encode()
    size = len(body) // 10 + 1
    for start in range(0, len(body), size):
        await asyncio.sleep(seconds / 10)
        await response.write(body[start : start + size])
    await response.write_eof()
    return response
