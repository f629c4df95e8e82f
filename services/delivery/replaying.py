"""Carries replays on, step by step: whoever has the job's row for a moment sends the next few, and its place moves on.

A step is one transaction. A worker that dies in the middle leaves nothing of it, and the next worker takes it again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import structlog

from services.platform.postgres import AWAY

log = structlog.get_logger()

IDLE_SECONDS: Final = 1.0
SHORTEST: Final = 0.02
STEPS_A_SECOND: Final = 4
LARGEST_STEP: Final = 100


class Steps(Protocol):
    """The part of Postgres that a step needs."""

    async def step(self) -> float | None:
        """One step of a replay that is due; seconds until the next is, None when no replay runs."""


def size_of_step(per_second: float) -> int:
    """Messages: few enough for an even flow, and for a short transaction."""
    return max(1, min(LARGEST_STEP, round(per_second / STEPS_A_SECOND)))


class Replayer:
    """One in each worker."""

    def __init__(self, steps: Steps, sent: Callable[[], None]) -> None:
        self._steps, self._sent = steps, sent
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """A replay was made here: it need not wait for the next look."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            pause = await self._one()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):  # `wait_for` of Python 3.11 may lose the cancellation that ends this
                    await self._wake.wait()

    async def _one(self) -> float:
        try:
            due = await self._steps.step()
        except AWAY as away:
            log.warning("replay_waits", error=type(away).__name__)
            return IDLE_SECONDS
        if due is None:
            return IDLE_SECONDS
        self._sent()
        return min(IDLE_SECONDS, max(SHORTEST, due))
