"""Steps of traces as OpenTelemetry's spans, sent in batches by a thread of their own; imported where traces are on.

Nobody waits for the collector: what it does not take, or what would be too much to keep for it, is lost and counted.
"""

import logging
import random
import threading
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from services import VERSION
from services.platform import metrics
from services.platform.tracing import ROOT, Place, Step, Told, root_of

log = structlog.get_logger()

WAITING: Final = 4096
AT_ONCE: Final = 256
"""Writing them down holds up the loop: some 10 ms, in pieces of 5."""
EVERY_MS: Final = 1000.0
SAID_EVERY: Final = 60.0
SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
KINDS: Final[Mapping[Step, SpanKind]] = {
    "login": SpanKind.SERVER,
    "publish": SpanKind.PRODUCER,
    "take": SpanKind.CONSUMER,
    "send": SpanKind.CLIENT,
    "verify": SpanKind.SERVER,
    "session": SpanKind.CONSUMER,
}
EXAMPLE: Final = Told(ROOT, UUID(int=1), 0, 0, False, {"result": "signed-in"}, Place(1, 1))


class Spans:
    """`tracing.Sink`. Spans are added by one thread only."""

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        """Without an exporter, to where `OTEL_EXPORTER_OTLP_…` say."""
        named = {"service.name": f"gatepost-{service}", "service.version": VERSION}
        self._resource, self._scope = Resource.create(named), InstrumentationScope("gatepost", VERSION)
        self._sent = Counted(exporter or _by_http())
        self._batches = BatchSpanProcessor(
            self._sent, max_queue_size=WAITING, schedule_delay_millis=EVERY_MS, max_export_batch_size=AT_ONCE
        )
        self._added = 0
        self._span(EXAMPLE)  # an SDK that makes spans otherwise is found now, and not by a login

    def add(self, told: Told) -> None:
        if self._added - self._sent.done >= WAITING:
            metrics.SPANS.labels("lost").inc()
            return
        self._added += 1
        self._batches.on_end(self._span(told))

    def end(self, seconds: float) -> None:
        """A collector that does not answer is not waited for any longer."""
        flushing = threading.Thread(target=self._batches.shutdown, daemon=True)
        flushing.start()
        flushing.join(seconds)
        if left := self._added - self._sent.done:
            log.warning("spans_not_sent", spans=left)

    def _span(self, told: Told) -> ReadableSpan:
        about = {f"gatepost.{name}": value for name, value in told.about.items() if isinstance(value, str | int)}
        reason = told.about.get("reason")
        return ReadableSpan(
            name=told.step,
            context=_context(told.login_id, root_of(told.login_id) if told.step == ROOT else _any_id()),
            parent=None if told.step == ROOT else _context(told.login_id, root_of(told.login_id), is_remote=True),
            resource=self._resource,
            attributes={"gatepost.login_id": str(told.login_id), **about},
            links=[Link(_of(told.caller))] if told.caller is not None else (),
            kind=KINDS[told.step],
            status=Status(StatusCode.ERROR, reason) if told.failed else Status(StatusCode.UNSET),
            start_time=told.began,
            end_time=told.ended,
            instrumentation_scope=self._scope,
        )


class Counted(SpanExporter):
    """Another exporter, and what became of what it was given. `done`: so many are not waiting any more."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self.done = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            metrics.SPANS.labels("sent" if result is SpanExportResult.SUCCESS else "lost").inc(len(spans))
            self.done += len(spans)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


class Seldom(logging.Filter):
    """One line a minute: a collector that is away is spoken of at every try."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self._next:
            return False
        self._next = record.created + SAID_EVERY
        return True


def _by_http() -> SpanExporter:
    logging.getLogger(OTLPSpanExporter.__module__).addFilter(Seldom())
    return OTLPSpanExporter()


def _context(login_id: UUID, step: int, is_remote: bool = False) -> SpanContext:
    return SpanContext(login_id.int, step, is_remote, SAMPLED)


def _of(caller: Place) -> SpanContext:
    return SpanContext(caller.trace, caller.step, is_remote=True)


def _any_id() -> int:
    return random.getrandbits(64) or 1
