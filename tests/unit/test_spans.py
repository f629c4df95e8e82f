"""Steps as OpenTelemetry's spans: one tree for each login, and a collector that nobody waits for."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from services.platform import metrics
from services.platform.clock import new_id
from services.platform.spans import WAITING, Seldom, Spans
from services.platform.tracing import Place, Told, root_of

LOGIN = UUID("01a2172e-4858-7592-bf43-5280c93f0b3f")


def step(name: str = "publish", login_id: UUID = LOGIN, failed: bool = False, **more: object) -> Told:
    caller = more.pop("caller", None)
    return Told(name, login_id, 1_000, 2_000, failed, more, caller)  # type: ignore[arg-type]


def count(result: str) -> float:
    return float(metrics.SPANS.labels(result)._value.get())


class Held(SpanExporter):
    """A collector that keeps everybody waiting until `go`; then it answers with `result`."""

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.asked, self.go = threading.Event(), threading.Event()
        self._result = result
        self.took = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.go.wait()
        self.took += len(spans)
        return self._result


@pytest.fixture
def held() -> Iterator[Callable[..., Held]]:
    made: list[Held] = []

    def make(*given: SpanExportResult) -> Held:
        made.append(Held(*given))
        return made[-1]

    yield make
    for each in made:
        each.go.set()


def exported(*told: Told) -> tuple[ReadableSpan, ...]:
    memory = InMemorySpanExporter()
    spans = Spans("gateway", memory)
    for each in told:
        spans.add(each)
    spans.end(10)
    return memory.get_finished_spans()


def test_a_login_is_one_tree_whatever_comes_first():
    names = ("send", "take", "publish", "login", "verify", "session")
    found = exported(*(step(name) for name in names))
    assert [span.name for span in found] == list(names)
    assert {span.context.trace_id for span in found} == {LOGIN.int}
    roots = [span for span in found if span.parent is None]
    assert [(span.name, span.context.span_id) for span in roots] == [("login", root_of(LOGIN))]
    children = [span for span in found if span.parent is not None]
    parents = {(span.parent.trace_id, span.parent.span_id) for span in children if span.parent is not None}
    assert parents == {(LOGIN.int, root_of(LOGIN))}
    assert len({span.context.span_id for span in found}) == len(found)
    kinds = {span.name: span.kind for span in found}
    assert (kinds["publish"], kinds["take"], kinds["send"]) == (SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.CLIENT)


def test_a_failure_is_an_error_with_its_reason_and_all_else_has_no_status():
    bad, good = exported(step("send", failed=True, reason="not-a-mobile", tries=2), step("send", result="sent"))
    assert (bad.status.status_code, bad.status.description) == (StatusCode.ERROR, "not-a-mobile")
    assert good.status.status_code is StatusCode.UNSET
    assert bad.attributes == {"gatepost.login_id": str(LOGIN), "gatepost.reason": "not-a-mobile", "gatepost.tries": 2}
    assert (bad.start_time, bad.end_time) == (1_000, 2_000)
    assert bad.resource.attributes["service.name"] == "gatepost-gateway"


def test_whose_call_it_was_is_a_link_and_no_parent():
    (root,) = exported(step("login", caller=Place(77, 88)))
    assert [(link.context.trace_id, link.context.span_id) for link in root.links] == [(77, 88)]
    assert (root.context.trace_id, root.parent) == (LOGIN.int, None)


def test_while_a_collector_keeps_us_waiting_what_is_too_much_is_lost_and_counted(held: Callable[..., Held]):
    collector = held()
    spans, lost, sent = Spans("gateway", collector), count("lost"), count("sent")
    for _ in range(WAITING + 100):
        spans.add(step(login_id=new_id()))
    assert collector.asked.wait(10)
    assert count("lost") - lost == 100
    assert spans._added - spans._sent.done == WAITING
    collector.go.set()
    spans.end(30)
    assert collector.took == WAITING
    assert count("sent") - sent == WAITING


def test_what_a_collector_refuses_is_lost_and_there_is_room_again(held: Callable[..., Held]):
    collector = held(SpanExportResult.FAILURE)
    collector.go.set()
    spans, lost = Spans("gateway", collector), count("lost")
    for _ in range(WAITING):
        spans.add(step())
    spans.end(30)
    assert count("lost") - lost == WAITING
    assert spans._sent.done == WAITING


def test_an_end_waits_for_a_silent_collector_only_so_long(held: Callable[..., Held]):
    collector = held()
    spans = Spans("gateway", collector)
    spans.add(step())
    ended = threading.Thread(target=spans.end, args=(0.05,))
    ended.start()
    ended.join(10)
    assert not ended.is_alive()
    assert collector.asked.is_set()


def test_of_a_collector_that_is_away_one_line_a_minute_is_said():
    seldom = Seldom()
    lines = [logging.makeLogRecord({"created": at}) for at in (1000.0, 1001.0, 1059.0, 1060.0, 1061.0)]
    assert [seldom.filter(line) for line in lines] == [True, False, False, True, False]
