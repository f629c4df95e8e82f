"""Every call of the three OpenAPI documents, with what fits its schemas and with what does not: never a 5xx, and each
answer, problem or not, has a status, a kind, headers and fields that the document names.

`GATEPOST_API_EXAMPLES` makes more of it (`make fuzz`); runs of one size try the same.
"""

import asyncio
import copy
import json
import os
import re
from typing import Any, Final

import aiohttp
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from deploy.local.stack import Stack
from services.delivery.routes.described import DOCUMENT as DELIVERY
from services.login_gateway.routes.described import DOCUMENT as GATEWAY
from services.platform.openapi import EVENTS, JSON, NDJSON
from services.session_store.routes.described import DOCUMENT as SESSION_STORE
from tests.contract.test_api_document import SECTIONS, rows

EXAMPLES: Final = int(os.environ.get("GATEPOST_API_EXAMPLES", "6"))
SERVICES: Final = {"gateway": GATEWAY, "delivery": DELIVERY, "session-store": SESSION_STORE}
ROWS: Final = {row.call: row for section in SECTIONS for row in rows(section)}
CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
LONGEST_LINE: Final = 8000
"""Beyond 8,190 bytes aiohttp's server refuses the line in plain text, before anything of ours sees it."""
MODES: Final = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def nothing_beside(document: dict[str, Any]) -> dict[str, Any]:
    """The document, but an answer may have no field that it does not name: what is new has to be written down."""
    strict = copy.deepcopy(document)
    for name, schema in strict["components"]["schemas"].items():
        if "properties" in schema and name not in OPEN:
            schema.setdefault("additionalProperties", False)
    return strict


OPEN: Final = frozenset({"ProblemBody", "Ready", "FedAnswer"})


def calls() -> list[Any]:
    """One for each call and mode. A stream does not end, so it is left to tests of its own."""
    found = []
    for service, document in SERVICES.items():
        schema = schemathesis.openapi.from_dict(nothing_beside(document))
        for result in schema.get_all_operations():
            operation: Any = result.ok()  # type: ignore[union-attr]  # an `Err` has none: then this says so
            described = document["paths"][operation.path][operation.method]
            modes = () if streams(described) else MODES if can_be_wrong(described) else MODES[:1]
            for mode in modes:
                found.append(pytest.param(service, operation, mode, id=f"{service} {operation.label} {mode.value}"))
    return found


def described_at(operation: Any) -> list[Any]:
    document = next(each for each in SERVICES.values() if operation.path in each["paths"])
    return list(document["paths"][operation.path][operation.method]["parameters"])


def needed(parameter: dict[str, Any]) -> bool:
    return bool(parameter["in"] == "query" and parameter["required"])


def media(operation: Any) -> str:
    document = next(each for each in SERVICES.values() if operation.path in each["paths"])
    return str(next(iter(document["paths"][operation.path][operation.method]["requestBody"]["content"])))


def example(operation: Any, known: dict[str, str]) -> Any:
    """None where the call takes no body."""
    row = ROWS.get((operation.method.upper(), operation.path))
    if row is None or not row.body:
        return None
    if row.body.startswith("`"):
        text = row.body.strip("`")
        if "{account}" in operation.path:
            text = text.replace('"demo"', json.dumps(known["name"]))
        return json.loads(text.replace("0197a0b0-0000-7000-8000-000000000000", known["account"]))
    return OTHER_BODIES[row.call]


OTHER_BODIES: Final = {
    ("POST", "/v1/introspect"): {"token": "gp_x"},
    ("POST", "/v1/revoke"): {"token": "gp_x"},
    ("POST", "/v1/events"): {"events": [{"topic": "session-events", "key": "", "value": ""}]},
    ("POST", "/v1/receipts/{provider}"): {"MessageSid": "SM1"},
    ("POST", "/v1/accounts/{account}/imports"): '{"username": "grace", "password": "a good long phrase"}',
}


def streams(described: dict[str, Any]) -> bool:
    return any(EVENTS in answer.get("content", {}) for answer in described["responses"].values())


def can_be_wrong(described: dict[str, Any]) -> bool:
    """Any text fits a path or a header; a query and a body have a form."""
    media = described.get("requestBody", {}).get("content", {})
    return JSON in media or any(each["in"] == "query" for each in described["parameters"])


@schemathesis.serializer(NDJSON)
def lines(_: Any, value: Any) -> bytes:
    return str(value).encode(errors="replace")


# What the guide's own examples come to where that is no success.
OTHERWISE: Final = {
    "POST /v1/logins": 401,  # nobody is named so
    "POST /v1/logins/{login}/verify": 401,
    "POST /v1/logins/{login}/resend": 409,  # by SMS, to somebody who has e-mail
    "POST /v1/feed/logins/{reference}/verify": 401,
    "POST /v1/feed/logins/{reference}/resend": 429,  # too soon
    "GET /v1/dead-letters/{letter_id}": 404,
    "GET /v1/dead-letters/{letter_id}/record": 404,
    "POST /v1/dead-letters/{letter_id}/replay": 404,
    "POST /v1/dead-letters/{letter_id}/discard": 404,
    "POST /v1/receipts/{provider}": 403,
    "DELETE /v1/sessions/{login_id}": 404,
    "POST /v1/events": 400,
    "GET /v1/check": 401,
    "PUT /v1/accounts/{account}/brand": 422,  # half a picture
}


@pytest.mark.parametrize(("service", "operation", "mode"), [each for each in calls() if each.values[2] is MODES[0]])
async def test_the_guides_examples_are_answered_as_the_document_says(
    stack: Stack, known: dict[str, str], service: str, operation: Any, mode: GenerationMode
):
    """docs/api.md's bodies, with an account's own names in them."""
    body = example(operation, known)
    query = {each["name"]: known[each["name"]] for each in described_at(operation) if needed(each)}
    sent = {} if body is None else {"body": body, "media_type": media(operation)}
    case = operation.Case(path_parameters=dict(known), query=query, **sent)
    case.path_parameters = {name: known[name] for name in re.findall(r"{(\w+)}", operation.path)}
    status = await asyncio.to_thread(Asking(stack, service, known).ask, case, True)
    wanted = OTHERWISE.get(operation.label)
    assert status == wanted if wanted else status < 300


@pytest.mark.parametrize(("service", "operation", "mode"), calls())
async def test_every_answer_is_as_the_document_says(
    stack: Stack, known: dict[str, str], service: str, operation: Any, mode: GenerationMode
):
    asking = Asking(stack, service, known)
    few = settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    @few
    @given(case=operation.as_strategy(generation_mode=mode), true=st.sampled_from([True, True, False]))
    def asked(case: Any, true: bool) -> None:
        asking.ask(case, true)

    await asyncio.to_thread(asked)


class Asking:
    """Sends a case with the credentials of a client that may make it; `true` puts things that exist into its path."""

    def __init__(self, stack: Stack, service: str, known: dict[str, str]) -> None:
        self._url = stack.environment.url(service)
        self._known = known
        self._all, self._internal = stack.client(), stack.client("gateway")
        self._session = requests.Session()

    def ask(self, case: Any, true: bool) -> int:
        if true and case.path_parameters:
            for name in case.path_parameters:
                case.path_parameters[name] = self._known[name]
        headers = {"Authorization": self._authorization(case.operation.path)}
        answer = case.call(base_url=self._url, session=self._session, headers=headers, timeout=60)
        if len(str(answer.request.url)) < LONGEST_LINE:
            case.validate_response(answer, checks=CHECKS, headers=headers)
        return int(answer.status_code)

    def _authorization(self, path: str) -> str:
        if path.startswith("/v1/feed"):
            return self._known["feed"]
        pair = self._internal if path == "/v1/events" else self._all
        return aiohttp.encode_basic_auth(*pair)
