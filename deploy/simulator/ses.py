"""Amazon SES' SendEmail, as https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html has it."""

import hashlib
import hmac
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from deploy.simulator.faults import Fault, Faults
from deploy.simulator.store import Store
from deploy.simulator.submissions import HttpProvider, Submission

PATH: Final = "/v2/email/outbound-emails"
ALGORITHM: Final = "AWS4-HMAC-SHA256"
AUTHORIZATION: Final = re.compile(
    rf"{ALGORITHM} Credential=(?P<key>[^/, ]+)/(?P<scope>[^, ]+), *SignedHeaders=(?P<headers>[^, ]+), *"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
CLOCKS_APART: Final = timedelta(minutes=15)
STATUSES: Final = {
    "NotFoundException": 404,
    "TooManyRequestsException": 429,
    "AccessDeniedException": 403,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
    "MissingAuthenticationTokenException": 403,
    "InvalidClientTokenId": 403,
    "SignatureDoesNotMatch": 403,
    "RequestExpired": 400,
}


@dataclass(frozen=True)
class SesAccount:
    """An access key, for one region."""

    region: str
    key_id: str
    secret: str = field(repr=False)


class Ses(HttpProvider):
    name = "ses"
    channel = "email"
    success = 200

    def __init__(self, store: Store, faults: Faults, account: SesAccount) -> None:
        super().__init__(store, faults)
        self._account = account

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(PATH, self.send)

    async def send(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        mail, wrong = _mail(body), self._unauthorized(request, body)
        if wrong is None and (mail is None or not mail.to or not mail.sender):
            wrong = problem("BadRequestException")
        return await self.take(request, mail or _mail_of({}), wrong)

    def resource(self, asked: Submission) -> dict[str, Any]:
        return {"MessageId": f"{uuid.uuid4().hex[:16]}-{uuid.uuid4()}-000000"}

    def answer(self, resource: dict[str, Any]) -> dict[str, Any]:
        return resource

    def refusal(self, fault: Fault) -> web.Response:
        match fault.mode:
            case "refuse":
                named = fault.code if isinstance(fault.code, str) else "MessageRejected"
                return problem(named, fault.status)
            case "rate_limit":
                return problem("TooManyRequestsException", headers={"Retry-After": str(fault.retry_after)})
            case _:
                return problem("InternalFailure", fault.status)

    def _unauthorized(self, request: web.Request, body: bytes) -> web.Response | None:
        """Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
        given = AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if given is None:
            return problem("MissingAuthenticationTokenException")
        if given["key"] != self._account.key_id:
            return problem("InvalidClientTokenId")
        at = request.headers.get("X-Amz-Date", "")
        if given["scope"] != f"{at[:8]}/{self._account.region}/ses/aws4_request" or not _is_young(at):
            return problem("RequestExpired")
        signed = _signature(self._account.secret, given["scope"], at, _canonical(request, body, given["headers"]))
        names = given["headers"].split(";")
        whole = "host" in names and hmac.compare_digest(signed, given["signature"])
        return None if whole else problem("SignatureDoesNotMatch")


def problem(code: str, status: int | None = None, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        {"message": f"{code}, says the simulator."},
        status=status or STATUSES.get(code, 400),
        headers={"x-amzn-ErrorType": code, "x-amzn-RequestId": str(uuid.uuid4())} | (headers or {}),
    )


def _canonical(request: web.Request, body: bytes, names: str) -> str:
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names.split(";"))
    path = quote(request.path, safe="/-_.~")
    return "\n".join([request.method, path, "", headers, names, hashlib.sha256(body).hexdigest()])


def _signature(secret: str, scope: str, at: str, canonical: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    text = "\n".join([ALGORITHM, at, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _is_young(at: str) -> bool:
    try:
        made = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(datetime.now(UTC) - made) <= CLOCKS_APART


def _mail(body: bytes) -> Submission | None:
    """None for what is not shaped like a simple e-mail to one."""
    try:
        return _mail_of(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _mail_of(asked: dict[str, Any]) -> Submission:
    simple = asked["Content"]["Simple"] if asked else {}
    body = simple.get("Body", {})
    return Submission(
        to=parseaddr(asked["Destination"]["ToAddresses"][0])[1] if asked else "",
        sender=asked.get("FromEmailAddress", ""),
        text=body.get("Text", {}).get("Data", ""),
        ref=None,
        receipts_at=None,
        subject=simple["Subject"]["Data"] if asked else None,
        html=body.get("Html", {}).get("Data"),
        headers={each["Name"]: each["Value"] for each in simple.get("Headers", [])} | _from(asked),
    )


def _from(asked: dict[str, Any]) -> dict[str, str]:
    return {"From": asked["FromEmailAddress"]} if "FromEmailAddress" in asked else {}
