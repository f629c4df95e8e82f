"""One look at a row of the ledger: its clock, and what is told of it."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import structlog

from services.delivery.fallback import kind_of
from services.delivery.notices import is_notice
from services.delivery.ports import Job, Result
from services.delivery.states import State
from services.delivery.vendor_errors import RECIPIENTS_OWN, word_of
from services.platform import metrics
from services.platform.clock import Clock
from services.platform.metering import country
from services.platform.tracing import TRACES, About

log = structlog.get_logger()

FIRST_CODES: Final = ("login", "fallback:login")


class Look:
    """The database's clock, carried on by the monotonic one since before the claim: never behind."""

    def __init__(self, clock: Clock, job: Job, since: float) -> None:
        self._clock, self._start, self._since = clock, job.now, since
        self.provider: str | None = None
        self.counted = False
        self._called: float | None = None
        self._ended: float | None = None

    def call(self, provider: str) -> None:
        self.provider, self._called = provider, self._clock.monotonic()

    def call_ms(self) -> int | None:
        """Of a call that is over just now."""
        self._ended = self._clock.monotonic()
        return None if self._called is None else round((self._ended - self._called) * 1000)

    def since_call(self) -> float:
        return 0.0 if self._ended is None else self._clock.monotonic() - self._ended

    def seconds(self) -> float:
        return self._clock.monotonic() - self._since

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.seconds())


def told_if_crashed(job: Job, task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("delivery_crashed", login_id=str(job.login_id), exc_info=error)


def tell(job: Job, result: Result, look: Look, now: datetime, held: bool) -> None:
    """One line and one count for each look at a row that ended at `now`; never who it was sent to."""
    provider = result.provider or "none"
    log.info(
        "delivery" if held else "delivery_result_came_late",
        login_id=str(job.login_id),
        channel=job.channel,
        cause=job.cause,
        state="doubted" if result.doubtful else result.state.value,
        reason=result.reason,
        provider=provider,
        tries=job.tries,
        ms=result.ms,
    )
    if result.ms is not None:
        _measure_call(job, result, result.ms / 1000, now)
        if TRACES.on and not is_notice(job):
            _trace_call(job, result, result.ms / 1000, look.since_call())
    elif job.state == State.SENT and result.log is None:  # no receipt came
        metrics.RECEIPTS.labels(job.channel, provider, country(job.country), State.UNKNOWN.value).inc()


def _outcome(result: Result) -> str:
    """A fault of the number says nothing of the provider."""
    return "wrong-number" if word_of(result.reason or "") in RECIPIENTS_OWN else result.state.value


def _measure_call(job: Job, result: Result, seconds: float, now: datetime) -> None:
    provider = result.provider or "none"
    metrics.SENDS.labels(job.channel, provider, country(job.country), _outcome(result)).inc()
    metrics.SEND_SECONDS.labels(job.channel, provider).observe(seconds)
    if result.state == State.SENT and job.cause in FIRST_CODES:
        metrics.LOGIN_TO_CODE_SECONDS.labels(job.channel).observe((now - job.begun_at).total_seconds())


def _trace_call(job: Job, result: Result, seconds: float, ago: float) -> None:
    about: About = {
        "cause": kind_of(job.cause),
        "channel": job.channel,
        "country": country(job.country),
        "provider": result.provider or "none",
        "result": _outcome(result),
        "tries": job.tries,
    }
    if result.reason is not None:
        about["reason"] = word_of(result.reason)
    TRACES.tell("send", job.login_id, seconds, ago=ago, failed=result.state != State.SENT, **about)
