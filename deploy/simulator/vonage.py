"""Vonage's Messages API for SMS, as https://developer.vonage.com/en/api/messages describes it."""

import hashlib
import json
import secrets
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from deploy.simulator.faults import Fault, Faults
from deploy.simulator.store import Store
from deploy.simulator.submissions import HttpProvider, Submission, possible

PATH: Final = "/v1/messages"
LONGEST_REF: Final = 100
NEEDED: Final = ("channel", "message_type", "from", "to", "text")
ERRORS: Final = "https://developer.vonage.com/api-errors"
CLOCKS_APART: Final = 60
WORDS: Final = {
    "unauthorized": (401, "Unauthorized", "You did not provide correct credentials."),
    "low-balance": (402, "Low balance", "This request could not be performed due to your account balance being low."),
    "1000": (429, "Rate Limit Hit", "Please wait, then retry your request"),
    "1010": (422, "Missing params", "Your request is incomplete and missing some mandatory parameters."),
    "1020": (422, "Invalid params", "The value of one or more parameters is invalid."),
    "1030": (500, "Internal error", "There was an error processing your request in the Platform."),
    "1180": (422, "Absent Subscriber Temporary", "to was temporarily unavailable"),
}


@dataclass(frozen=True)
class VonageAccount:
    """An application of an account: its public key checks submissions, the account's secret signs receipts."""

    application_id: str
    public_key: RSAPublicKey = field(repr=False)
    api_key: str
    signature_secret: str = field(repr=False)


class Vonage(HttpProvider):
    name = "vonage"
    sent_word = "submitted"
    finals = ("delivered", "rejected")
    success = 202

    def __init__(self, store: Store, faults: Faults, account: VonageAccount) -> None:
        super().__init__(store, faults)
        self._account = account

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(PATH, self.create)

    async def create(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = json.loads(await request.read())
        except ValueError:
            asked = None
        form = {name: str(value) for name, value in asked.items()} if isinstance(asked, dict) else {}
        refused = self._unauthorized(request)
        if refused is None and (code := _fault_of_form(form)) is not None:
            refused = problem(code)
        return await self.take(request, _sms(form), refused)

    def resource(self, asked: Submission) -> dict[str, Any]:
        made = {"message_uuid": str(uuid.uuid4()), "to": asked.to.removeprefix("+"), "channel": "sms"}
        return made | {"from": asked.sender} | ({"client_ref": asked.ref} if asked.ref else {})

    def answer(self, resource: dict[str, Any]) -> dict[str, Any]:
        return {"message_uuid": resource["message_uuid"]}

    def refusal(self, fault: Fault) -> web.Response:
        match fault.mode:
            case "refuse":
                return problem(str(fault.code or 1120), fault.status)
            case "rate_limit":
                return problem("1000", headers={"Retry-After": str(fault.retry_after)})
            case _:
                return problem("1030", fault.status)

    def receipt(self, url: str, resource: dict[str, Any], status: str, forged: bool) -> tuple[bytes, dict[str, str]]:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said = resource | {"timestamp": at, "status": status}
        if status == "rejected":
            said["error"] = error("1180", title="1180")
        body = json.dumps(said, separators=(",", ":")).encode()
        secret = secrets.token_hex(16) if forged else self._account.signature_secret
        signed = webhook_jwt(body, self._account.api_key, self._account.application_id, secret)
        return body, {"Content-Type": "application/json", "Authorization": f"Bearer {signed}"}

    def _unauthorized(self, request: web.Request) -> web.Response | None:
        """The application's own JWT: https://developer.vonage.com/en/getting-started/concepts/authentication."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        needed = ["application_id", "iat", "exp", "jti"]
        try:
            claims = jwt.decode(
                token, self._account.public_key, algorithms=["RS256"], leeway=CLOCKS_APART, options={"require": needed}
            )
        except jwt.PyJWTError:
            return problem("unauthorized")
        right = scheme == "Bearer" and claims["application_id"] == self._account.application_id
        return None if right else problem("unauthorized")


def webhook_jwt(body: bytes, api_key: str, application_id: str, secret: str) -> str:
    """https://developer.vonage.com/en/messages/concepts/signed-webhooks"""
    claims = {
        "iat": int(time.time()),
        "jti": str(uuid.uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": api_key,
        "application_id": application_id,
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def problem(code: str, status: int | None = None, headers: dict[str, str] | None = None) -> web.Response:
    known = WORDS.get(code, (422, "", ""))[0]
    return web.json_response(error(code), status=status or known, headers=headers)


def error(code: str, title: str | None = None) -> dict[str, str]:
    """RFC 7807; an error of the Messages API is a number, one of all APIs a word."""
    _, known, detail = WORDS.get(code, (422, "Rejected", "The message could not be sent."))
    place = f"{ERRORS}/messages#{code}" if code.isdecimal() else f"{ERRORS}/#{code}"
    return {"type": place, "title": title or known, "detail": detail, "instance": secrets.token_hex(16)}


def _sms(form: dict[str, str]) -> Submission:
    to = form.get("to", "")
    return Submission(
        to=f"+{to}" if to else "",
        sender=form.get("from", ""),
        text=form.get("text", ""),
        ref=form.get("client_ref"),
        receipts_at=form.get("webhook_url"),
    )


def _fault_of_form(form: dict[str, str]) -> str | None:
    if not all(form.get(name) for name in NEEDED):
        return "1010"
    known = (form["channel"], form["message_type"]) == ("sms", "text")
    fits = len(form.get("client_ref", "")) <= LONGEST_REF and form["to"].isdecimal() and possible(f"+{form['to']}")
    return None if known and fits else "1020"
