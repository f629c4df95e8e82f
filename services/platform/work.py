"""What runs beside the requests, for as long as the process lives."""

import asyncio
import gc
import os
import signal
from collections.abc import Collection, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import structlog

log = structlog.get_logger()

CLOSING_SECONDS: Final = 6.0
"""Longer than any client of Kafka is given to close."""


@contextmanager
def loading() -> Iterator[None]:
    """For imports: nearly all that they make stays, and the garbage collector would look through it again and again: a
    tenth of a start's processor time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def spare_the_collector() -> None:
    """What a process holds once it has started stays: the garbage collector need not look through all of it again and
    again, 15 to 30 ms each time, in which nobody is served.
    """
    gc.collect()
    gc.freeze()


async def or_stop(name: str, work: Coroutine[Any, Any, None]) -> None:
    """Work that must never end: when it does, the process stops, so that its supervisor and somebody look. What trouble
    it has while it is being cancelled is nobody's any more.
    """
    task = asyncio.current_task()
    try:
        await work
    except Exception as error:
        if task is not None and task.cancelling():
            raise
        log.critical("stopped", work=name, exc_info=error)
        stop_this_process()


async def ended(tasks: Collection["asyncio.Task[None]"], again: float = CLOSING_SECONDS) -> None:
    """Cancel them all and wait for it. A cancellation that comes while aiokafka closes a client is swallowed there, and
    the work goes on: so it is said again.
    """
    await asyncio.sleep(0)  # what has not begun yet would complain that nobody awaits it
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again)
    await asyncio.gather(*tasks, return_exceptions=True)


def stop_signal() -> asyncio.Event:
    """Set at SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def stop_this_process() -> None:
    """As its supervisor would ask for it: what is under way is finished."""
    os.kill(os.getpid(), signal.SIGTERM)
