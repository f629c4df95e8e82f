"""One look at a row of the ledger: its clock, and what is told of it."""

import asyncio
from datetime import datetime, timedelta

import structlog

from services.delivery.ports import Job, Result
from services.platform import metrics
from services.platform.clock import Clock

log = structlog.get_logger()


class Look:
    """The database's clock, carried on by the monotonic one since before the claim: never behind."""

    def __init__(self, clock: Clock, job: Job, since: float) -> None:
        self._clock, self._start, self._since = clock, job.now, since
        self.provider: str | None = None
        self.counted = False
        self._called: float | None = None

    def call(self, provider: str) -> None:
        self.provider, self._called = provider, self._clock.monotonic()

    def call_ms(self) -> int | None:
        return None if self._called is None else round((self._clock.monotonic() - self._called) * 1000)

    def seconds(self) -> float:
        return self._clock.monotonic() - self._since

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.seconds())


def told_if_crashed(job: Job, task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("delivery_crashed", login_id=str(job.login_id), exc_info=error)


def tell(job: Job, result: Result, call_ms: int | None, held: bool) -> None:
    """One line and one count for each look at a row; never who it was sent to."""
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
        ms=call_ms,
    )
    if call_ms is not None:
        metrics.SENDS.labels(job.channel, provider, result.state.value).inc()
        metrics.SEND_SECONDS.labels(job.channel, provider).observe(call_ms / 1000)
