"""What the API's pages are made of."""

import hashlib
import re
from typing import Any

from schemas.topics import TOPICS
from services.platform.ui.docs import topics
from services.platform.ui.docs.pages import FOLDER, in_page, plain
from services.session_store.routes.described import DOCUMENT


def test_vendored_scripts_are_those_of_the_table():
    table = (FOLDER / "static" / "README.md").read_text()
    named = dict(re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", table, re.MULTILINE))
    assert named == {
        name: hashlib.sha256((FOLDER / "static" / name).read_bytes()).hexdigest() for name in ("redoc.standalone.js",)
    }


def test_a_description_cannot_end_the_element_that_holds_it():
    assert in_page({"a": "</script><script>alert(1)</script>"}) == (
        '{"a":"\\u003c/script>\\u003cscript>alert(1)\\u003c/script>"}'
    )


def test_no_heading_and_no_entry_of_the_list_shows_backticks_and_the_document_keeps_them():
    def summaries(document: dict[str, Any]) -> list[str]:
        return [call["summary"] for calls in document["paths"].values() for call in calls.values()]

    assert any("`" in summary for summary in summaries(DOCUMENT))
    assert summaries(plain(DOCUMENT)) == [summary.replace("`", "") for summary in summaries(DOCUMENT)]


def test_every_field_of_every_event_is_named_with_its_kind():
    shown = {event.name: event for channel in topics.shown(TOPICS) for event in channel.events}
    verified = {field.name: field for field in shown["Verified"].fields}
    assert (verified["issued_at"].kind, verified["device"].needed) == ("date-time", False)
    assert shown["Verified"].signed
    assert not shown["CodeSent"].signed
    assert all(field.kind for event in shown.values() for field in event.fields)
