"""A trace collector for tests: OTLP over HTTP as the standard says, which keeps every byte and reads it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """A span; `error`: the words of its status where that is an error. `gatepost.` is left out of attributes' names."""

    service: str
    name: str
    trace: UUID
    id: bytes
    parent: bytes
    began: int
    ended: int
    error: str | None
    links: tuple[tuple[str, str], ...]
    about: dict[str, Any]


@dataclass
class Collector:
    """`answers`: what it says from now on; None keeps everybody waiting until it says something again."""

    port: int = 0
    status: int | None = 200
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Seen] = field(default_factory=list)
    waiting: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        data = await request.read()  # unpacked by aiohttp
        async with self._changed:
            self.waiting += 1
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self.status is not None)
            self.waiting -= 1
            if self.status == 200:
                self.bodies.append(data)
                self.spans += read(data)
                self._changed.notify_all()
        return web.Response(status=self.status or 500, content_type="application/x-protobuf")

    async def answer(self, status: int | None) -> None:
        async with self._changed:
            self.status = status
            self._changed.notify_all()

    async def held(self) -> None:
        """Until somebody waits for an answer."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: self.waiting > 0), 20)

    async def trace(self, login_id: str, *names: str) -> list[Seen]:
        """The spans of a login, in order of their beginning, once there are at least these."""
        wanted = UUID(login_id)

        def there() -> bool:
            left = [span.name for span in self.of(wanted)]
            return all(left.count(name) >= names.count(name) for name in names)

        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(there), 20)
            except TimeoutError:
                raise AssertionError(f"of {names} there are {[s.name for s in self.of(wanted)]}") from None
        return self.of(wanted)

    def of(self, login_id: UUID) -> list[Seen]:
        return sorted((span for span in self.spans if span.trace == login_id), key=lambda span: span.began)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Collector"]:
        """On a port of its own, and on the same one when it listens again."""
        app = web.Application()
        app.router.add_post("/v1/traces", self.take)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


def read(data: bytes) -> list[Seen]:
    asked = ExportTraceServiceRequest.FromString(data)
    return [
        _seen(service_of(of.resource), span)
        for of in asked.resource_spans
        for scope in of.scope_spans
        for span in scope.spans
    ]


def service_of(resource: Any) -> str:
    (name,) = [each.value.string_value for each in resource.attributes if each.key == "service.name"]
    return str(name).removeprefix("gatepost-")


def _seen(service: str, span: Any) -> Seen:
    return Seen(
        service=service,
        name=span.name,
        trace=UUID(bytes=span.trace_id),
        id=span.span_id,
        parent=span.parent_span_id,
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        error=span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else None,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        about={each.key.removeprefix("gatepost."): _value(each.value) for each in span.attributes},
    )


def _value(value: Any) -> Any:
    return value.int_value if value.HasField("int_value") else value.string_value
