"""The three OpenAPI documents hold together."""

from collections.abc import Iterator
from typing import Any

import pytest

from services.delivery.routes.described import DOCUMENT as DELIVERY
from services.login_gateway.routes.described import DOCUMENT as GATEWAY
from services.session_store.routes.described import DOCUMENT as SESSION_STORE

DOCUMENTS = {"gateway": GATEWAY, "delivery": DELIVERY, "session-store": SESSION_STORE}


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from references(each)


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_what_is_referred_to_is_there_and_nothing_is_there_in_vain(document: dict[str, Any]):
    there = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) == there


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_calls_have_names_of_their_own_and_say_what_they_take_and_give(document: dict[str, Any]):
    calls = [call for paths in document["paths"].values() for call in paths.values()]
    assert len({call["operationId"] for call in calls}) == len(calls)
    for call in calls:
        for status, answer in call["responses"].items():
            assert "content" in answer or status == "204" or "headers" in answer, (call["operationId"], status)
