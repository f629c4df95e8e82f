"""Amazon SES, API v2 (https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html). Retries nothing.

Amazon's own signer signs (Signature Version 4); the call is ours, so that its time, its connections and what it reads
of an answer are bound as for every provider.
"""

import re
from email.utils import formataddr
from typing import Any, Final

import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from services.delivery.channels.calling import UNREADABLE, Answer, Caller, refusal
from services.delivery.channels.ses_errors import ERRORS, SAID
from services.delivery.provider import Message, Permanent, Unknown
from services.delivery.vendor_errors import code_in, error_of

PATH: Final = "/v2/email/outbound-emails"
MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
UTF_8: Final = "UTF-8"


class Ses:
    name = "ses"
    channel = "email"
    gives_receipts = False

    def __init__(
        self,
        *,
        region: str,
        key_id: str,
        secret: str,
        sender: str,
        base_url: str | None = None,
        configuration_set: str | None = None,
        connections: int = 64,
    ) -> None:
        self._url = f"{(base_url or f'https://email.{region}.amazonaws.com').rstrip('/')}{PATH}"
        self._signer = SigV4Auth(ReadOnlyCredentials(key_id, secret, None), "ses", region)
        self._caller = Caller({"Accept": "application/json"}, connections)
        self._sender, self._configuration_set = sender, configuration_set

    async def send(self, message: Message, timeout: float) -> str:
        body = msgspec.json.encode(self._asked(message))
        return outcome(await self._caller.post(self._url, body, timeout, self._signed(body)))

    async def close(self) -> None:
        await self._caller.close()

    def _asked(self, message: Message) -> dict[str, Any]:
        """SES takes no address with letters beyond ASCII; a name of the sender as RFC 2047 writes it."""
        if not message.to.isascii():
            raise Permanent("invalid-address")
        asked = {
            "FromEmailAddress": formataddr((message.sender or "", self._sender)),
            "Destination": {"ToAddresses": [message.to]},
            "Content": {"Simple": _simple(message)},
        }
        return asked | ({"ConfigurationSetName": self._configuration_set} if self._configuration_set else {})

    def _signed(self, body: bytes) -> dict[str, str]:
        request = AWSRequest("POST", self._url, data=body, headers={"Content-Type": "application/json"})
        self._signer.add_auth(request)
        return dict(request.headers.items())


def _simple(message: Message) -> dict[str, Any]:
    """Text and HTML, from a machine that wants no answer of another, as by SMTP."""
    body = {"Text": _content(message.text)} | ({"Html": _content(message.html)} if message.html is not None else {})
    headers = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
    if message.locale is not None:
        headers["Content-Language"] = message.locale
    written = [{"Name": name, "Value": value} for name, value in headers.items()]
    return {"Subject": _content(message.subject), "Body": body, "Headers": written}


def _content(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": UTF_8}


def outcome(answer: Answer) -> str:
    """The message's id; raises the class that the answer belongs to."""
    code = error_code(answer)
    if 200 <= answer.status < 300:
        return _accepted(answer.said, code)
    raise refusal(answer, ERRORS, code)


def _accepted(said: dict[str, Any], code: str | None) -> str:
    found = said.get("MessageId")
    if found is None and (known := ERRORS.of(code)):
        raise error_of(known, None)
    if not isinstance(found, str) or not MESSAGE_ID.fullmatch(found):
        raise Unknown(UNREADABLE)
    return found


def error_code(answer: Answer) -> str | None:
    """Where AWS' protocol has it: a header, or a field of the body; a namespace and an address around it left out
    (https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization).
    """
    message = answer.said.get("message", answer.said.get("Message"))
    for words, code in SAID.items():
        if isinstance(message, str) and words in message:
            return code
    for named in (answer.headers.get("x-amzn-errortype"), answer.said.get("code"), answer.said.get("__type")):
        if isinstance(named, str) and (code_of := code_in(named.partition(":")[0].rpartition("#")[2])):
            return code_of
    return None
