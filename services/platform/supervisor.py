"""`gatepost serve … --workers N`: holds N listeners on one port, keeps a process behind each, and no state of theirs.

A worker that ends is started again, later each time; meanwhile whoever comes waits in its queue, which is ours. SIGTERM
lets every worker finish. SIGHUP replaces them one after the other, so that nobody who comes notices.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

import structlog

from services.platform.serving import FINISH_SECONDS, opened
from services.platform.settings import ServiceSettings
from services.platform.work import stop_signal
from services.platform.worker import Place

log = structlog.get_logger()

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 10.0
STEADY_SECONDS: Final = 30.0
READY_SECONDS: Final = 60.0
CLOSING_SECONDS: Final = 25.0  # after its last answer: what is on its way to Kafka and Postgres
BAD_SETTINGS: Final = 2


class Plan(NamedTuple):
    """How a worker is started and stopped. `one_at_a_time`: each has a name that no two may have."""

    command: Sequence[str]
    of: int
    folder: Path
    stop_seconds: float
    one_at_a_time: bool
    environment: Mapping[str, str] = {}


class Worker:
    """One process. It says when it is ready, and hears when we are gone."""

    def __init__(self, process: asyncio.subprocess.Process, number: int, line: socket.socket) -> None:
        self.process, self.number = process, number
        self._line = line
        self.ready = asyncio.create_task(self._hear())

    @classmethod
    async def start(cls, plan: Plan, number: int, listeners: Sequence[socket.socket]) -> Self:
        ours, theirs = socket.socketpair()
        with theirs:
            queues = tuple(listener.fileno() for listener in listeners)
            place = Place(number, plan.of, theirs.fileno(), queues, plan.folder)
            process = await asyncio.create_subprocess_exec(
                *plan.command,
                env=os.environ | plan.environment | {"GATEPOST_WORKER": place.text()},
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *queues),
                start_new_session=True,  # Ctrl-C reaches only us
            )
        log.info("worker_started", worker=number, pid=process.pid)
        return cls(process, number, ours)

    async def stop(self, seconds: float) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), seconds)
        except TimeoutError:
            log.error("worker_killed", worker=self.number, pid=self.process.pid, after_seconds=seconds)
            self.kill()
        await self.ended()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()

    async def ended(self) -> int:
        code = await self.process.wait()
        self.ready.cancel()
        await asyncio.gather(self.ready, return_exceptions=True)
        self._line.close()
        return code

    async def is_ready(self, seconds: float = READY_SECONDS) -> bool:
        """Whether it became so, in time and before it ended."""
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self.ready), seconds)
        return False

    @property
    def was_ready(self) -> bool:
        return self.ready.done() and not self.ready.cancelled() and self.ready.result()

    async def _hear(self) -> bool:
        self._line.setblocking(False)
        with suppress(OSError):
            return await asyncio.get_running_loop().sock_recv(self._line, 1) == b"1"
        return False


class Slot:
    """A listener and, at all times, a worker behind it. `hopeless`: it says that its settings are wrong, and none here
    ever worked, so starting it again would not help. Where one did, what was changed since can be changed back, and the
    other workers go on.
    """

    def __init__(self, plan: Plan, number: int, listeners: Sequence[socket.socket]) -> None:
        self.number = number
        self._plan, self._listeners = plan, listeners
        self._worker: Worker
        self._keeper: asyncio.Task[None]
        self._before: Worker | None = None
        self._worked = False
        self.hopeless = asyncio.Event()

    async def start(self) -> None:
        self._worker = await self._started()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        self._keeper.cancel()
        await self._worker.stop(self._plan.stop_seconds)
        if self._before is not None:  # it was being replaced
            await self._before.stop(self._plan.stop_seconds)

    async def replace(self) -> bool:
        """Another worker, then an end of this one. False where the other does not get ready: this one stays."""
        self._keeper.cancel()
        try:
            return await (self._in_turn() if self._plan.one_at_a_time else self._overlapping())
        except OSError:  # no process more fits on this machine
            return False
        finally:
            self._keeper = asyncio.create_task(self._keep())

    async def _overlapping(self) -> bool:
        new = await self._started()
        ready = False
        try:
            ready = await new.is_ready()
        finally:
            if not ready:
                new.kill()
                await new.ended()
        if ready:
            self._before, self._worker = self._worker, new
            await self._before.stop(self._plan.stop_seconds)
            self._before = None
        return ready

    async def _in_turn(self) -> bool:
        """Who comes meanwhile waits in the queue."""
        self._worked = self._worked or self._worker.was_ready
        await self._worker.stop(self._plan.stop_seconds)
        self._worker = await self._started()
        return await self._worker.is_ready()

    async def _started(self) -> Worker:
        return await Worker.start(self._plan, self.number, self._listeners)

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            worker, since = self._worker, time.monotonic()
            code = await worker.ended()
            self._worked = self._worked or worker.was_ready
            if code == BAD_SETTINGS and not self._worked:
                return self.hopeless.set()
            pause = FIRST_PAUSE if time.monotonic() - since > STEADY_SECONDS else min(pause * 2, LONGEST_PAUSE)
            log.error("worker_ended", worker=self.number, exit_code=code, again_in_seconds=pause)
            await asyncio.sleep(pause)
            try:
                self._worker = await self._started()
            except OSError as full:
                log.error("worker_not_started", worker=self.number, error=type(full).__name__)


async def supervise(settings: ServiceSettings, workers: int, environment: Mapping[str, str] | None = None) -> int:
    """Until SIGTERM or SIGINT; gives the exit code. Raises `OSError` when the port is taken."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-")))
        stop_seconds = settings.stop_notice_seconds + settings.stop_grace_seconds + FINISH_SECONDS + CLOSING_SECONDS
        command = [sys.executable, *sys.orig_argv[1:]]
        plan = Plan(command, workers, folder, stop_seconds, settings.is_identified, environment or {})
        listeners = _listeners(settings, workers, held)
        slots = [Slot(plan, number, each) for number, each in enumerate(listeners, 1)]
        return await _run(slots, held)


def _listeners(settings: ServiceSettings, workers: int, held: ExitStack) -> list[list[socket.socket]]:
    """A queue of the port's own for each worker. Somebody else who listens there already is no worker of ours."""
    found: list[list[socket.socket]] = []
    for listener in opened(settings.http_host, settings.http_port):
        listener.close()
    for _ in range(workers):
        found.append(opened(settings.http_host, settings.http_port, shared=True))
        for listener in found[-1]:
            held.enter_context(listener)
    log.info("listening", host=settings.http_host, port=settings.http_port, workers=workers)
    return found


async def _run(slots: Sequence[Slot], held: ExitStack) -> int:
    stopping, again = stop_signal(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again.set)
    await asyncio.gather(*(slot.start() for slot in slots))
    rolling = asyncio.create_task(_roll_for_ever(slots, again))
    ends = [rolling, *(asyncio.create_task(event.wait()) for event in (stopping, *(slot.hopeless for slot in slots)))]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping", workers=len(slots))
    held.close()  # the queues are the workers' alone now, who let in whoever waits there
    for task in ends:
        task.cancel()
    await asyncio.gather(*ends, return_exceptions=True)
    await asyncio.gather(*(slot.stop() for slot in slots))
    return 0 if stopping.is_set() else BAD_SETTINGS


async def _roll_for_ever(slots: Sequence[Slot], again: asyncio.Event) -> None:
    while True:
        await again.wait()
        again.clear()
        await _roll(slots)


async def _roll(slots: Sequence[Slot]) -> None:
    """One after the other. What does not get ready stops it: the others go on as they are."""
    for slot in slots:
        if not await slot.replace():
            log.error("restart_given_up", worker=slot.number)
            return
        log.info("worker_replaced", worker=slot.number)
    log.info("workers_replaced", workers=len(slots))
