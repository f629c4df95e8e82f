"""Traces of logins: off unless `GATEPOST_TRACES` says which share; `OTEL_EXPORTER_OTLP_…` say where they go.

A login is one trace and its `login_id` the trace's id: both have 16 bytes, and every event and row has that one
already. The id of its first step is made from it too. So no hop hands anything on, and a message that another worker
sends minutes later is in the right trace. A step is told once it is over, which costs next to nothing while traces are
off. What is told of it are words of closed sets: no contact, no username, no value of a statement.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal, NamedTuple, Protocol, TypedDict, Unpack
from uuid import UUID

HEADER: Final = "traceparent"
Step = Literal["login", "publish", "take", "send", "verify", "session"]
ROOT: Final = "login"
ASKED_FOR: Final = (ROOT, "verify")
"""Steps that somebody outside called for."""
RANDOM: Final = 0xFFFFFFFF
"""The bits of a login_id that no clock and no counter decides (RFC 9562, method 1 for its other ones)."""
STOP_SECONDS: Final = 2.0
_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


class About(TypedDict, total=False):
    """All that may be said of a step. `cause`: only its kind. `road`: what brought it. `reason`: why it failed."""

    cause: str
    channel: str
    country: str
    provider: str
    reason: str
    result: str
    road: str
    topic: str
    tries: int


class Place(NamedTuple):
    """A step of a trace, anybody's."""

    trace: int
    step: int


class Told(NamedTuple):
    """A step that is over; times in nanoseconds of Unix time. `caller`: whose own trace it was called from."""

    step: Step
    login_id: UUID
    began: int
    ended: int
    failed: bool
    about: About
    caller: Place | None


class Sink(Protocol):
    """Where steps go. `add` waits for nobody."""

    def add(self, told: Told) -> None: ...
    def end(self, seconds: float) -> None: ...


_caller: ContextVar[Place | None] = ContextVar("caller", default=None)


class Traces:
    """Until `begin` and after `end`, `tell` does nothing."""

    def __init__(self) -> None:
        self._sink: Sink | None = None
        self._share = 0

    @property
    def on(self) -> bool:
        return self._sink is not None

    def begin(self, sink: Sink, share: float) -> None:
        """`share` of the logins, from 0 to 1: the same ones in every service that is told the same."""
        self._sink, self._share = sink, round(share * (RANDOM + 1))

    def end(self) -> None:
        """What was told goes out, if it can in two seconds."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.end(STOP_SECONDS)

    def takes(self, login_id: UUID) -> bool:
        return self._sink is not None and login_id.int & RANDOM < self._share

    def header(self, login_id: UUID) -> bytes | None:
        """W3C Trace Context, for whoever reads a record; None where the login is not traced."""
        if not self.takes(login_id):
            return None
        return f"00-{login_id.hex}-{root_of(login_id):016x}-01".encode()

    def tell(
        self,
        step: Step,
        login_id: UUID,
        seconds: float,
        *,
        ago: float = 0.0,
        failed: bool = False,
        **about: Unpack[About],
    ) -> None:
        """A step that took so long and has been over for `ago` seconds. `failed`: it did not do what it is for."""
        if self._sink is None or not self.takes(login_id):
            return
        ended = time.time_ns() - round(ago * 1e9)
        caller = _caller.get() if step in ASKED_FOR else None
        self._sink.add(Told(step, login_id, ended - round(max(0.0, seconds) * 1e9), ended, failed, about, caller))


TRACES: Final = Traces()
"""One for the process, like the metrics."""


@contextmanager
def running(service: str, share: float) -> Iterator[None]:
    """Traces for as long as a service runs. What they are made with is imported where somebody wants them."""
    if share > 0:
        from services.platform.spans import Spans

        TRACES.begin(Spans(service), share)
    try:
        yield
    finally:
        TRACES.end()


def root_of(login_id: UUID) -> int:
    """The id of a login's first step, known to whoever knows the login."""
    return int.from_bytes(hashlib.sha256(b"gatepost-root" + login_id.bytes).digest()[:8], "big") or 1


def called_by(header: str | None) -> None:
    """From whose trace the present request comes. It becomes a link, never a parent: strangers choose no id of ours."""
    _caller.set(place_in(header) if header is not None else None)


def place_in(header: str) -> Place | None:
    """What a `traceparent` names (W3C Trace Context, section 3.2); None for what is none."""
    found = _PARENT.fullmatch(header)
    return None if found is None else Place(int(found[1], 16), int(found[2], 16))
