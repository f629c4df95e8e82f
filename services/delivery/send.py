"""The one owner of retries: takes leased rows, calls a provider within the deadline, writes what became of it."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, Protocol
from uuid import UUID

import structlog

from services.delivery import deadlines, fallback, outcomes
from services.delivery.compose import Secrets
from services.delivery.gate import Gate, Stopped
from services.delivery.lanes import Lane
from services.delivery.looks import Look, tell, told_if_crashed
from services.delivery.ports import Consequences, Held, Job, Ledger, Result
from services.delivery.provider import Channel, Message, Permanent, Retryable, Unknown
from services.delivery.routing import NoLane
from services.delivery.states import DID_NOT_ARRIVE, Reason, State
from services.delivery.vendor_errors import word_of
from services.platform import failpoints, metrics
from services.platform.clock import Clock
from services.platform.keys.contacts import LoginSecrets
from services.platform.keys.keyring import SealBroken, UnknownKey
from services.platform.postgres import AWAY, until_it_works

log = structlog.get_logger()

IDLE_SECONDS: Final = 0.5
LEASE_SECONDS: Final = 10.0
LEASE_SPARE: Final = 1.0
OVERDUE_AT_ONCE: Final = 100
OVERDUE_PAUSE: Final = 0.25


class Routes(Protocol):
    """Which provider takes a message, and how many calls each channel has room for."""

    def choose(self, job: Job) -> Lane | NoLane: ...
    def another(self, job: Job, name: str) -> bool: ...
    def room(self) -> Mapping[str, int]: ...


class Sender:
    """Slots for calls; every slot ends in exactly one `settle`."""

    def __init__(self, ledger: Ledger, routes: Routes, secrets: Secrets, gate: Gate, clock: Clock, slots: int) -> None:
        self._ledger, self._routes, self._secrets, self._gate, self._clock = ledger, routes, secrets, gate, clock
        self._slots = slots
        self._held = 0
        self._nothing_held = asyncio.Event()
        self._running: dict[asyncio.Task[None], Job] = {}
        self._looks: set[asyncio.Task[None]] = set()
        self._looked = 0.0
        self._called: set[UUID] = set()
        self._on_the_way = Counter[str]()
        self._wake = asyncio.Event()
        self._stopping = False
        self._backlog = False
        self.last_sweep: float | None = None

    @property
    def free(self) -> int:
        return 0 if self._stopping else max(0, self._slots - self._held - len(self._running))

    def wake(self) -> None:
        self._wake.set()

    @contextmanager
    def hold(self, most: int) -> Iterator[Held]:
        """Slots are kept before rows are claimed into them: several agents and the sweeper claim at once."""
        held = Held(min(most, self.free), self._clock.monotonic(), self._room())
        self._held += held.slots
        self._nothing_held.clear()
        try:
            yield held
        finally:
            self._held -= held.slots
            if not self._held:
                self._nothing_held.set()
            if self._backlog and held.slots:
                self._wake.set()

    def start(self, jobs: Sequence[Job], held: Held) -> None:
        """Inside of `hold`, for the rows that were claimed."""
        if jobs:
            failpoints.reached("delivery.after-claim")
        for job in jobs:
            self._on_the_way[job.channel] += 1
            task = asyncio.get_running_loop().create_task(self._one(job, held.since))
            self._running[task] = job
            task.add_done_callback(self._finished)

    async def run(self) -> None:
        """Until cancelled: whatever is due, as long as a slot is free."""
        while True:
            self._wake.clear()
            try:
                taken = await self._sweep()
            except AWAY as away:
                log.warning("sweep_failed", error=type(away).__name__)
                taken = 0
            if not taken:
                with suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_SECONDS):  # `wait_for` of Python 3.11 may lose a cancellation
                        await self._wake.wait()

    async def stop(self, timeout: float = 8.0) -> None:
        """Finish the calls that were made, give the other rows back; also those of a claim that is under way."""
        self._stopping = True
        if self._held:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nothing_held.wait(), timeout / 2)
        for task, job in list(self._running.items()):
            if job.id not in self._called:
                task.cancel()
        uncalled = [job for job in self._running.values() if job.id not in self._called]
        if self._running or self._looks:
            await asyncio.wait([*self._running, *self._looks], timeout=timeout)
        with suppress(*AWAY):
            await self._ledger.give_back(uncalled)

    async def _sweep(self) -> int:
        """What is overdue first: it calls nobody, so it waits for no slot."""
        taken = await self._look() + await self._claim()
        self.last_sweep = self._clock.monotonic()
        return taken

    async def _look(self) -> int:
        since, most = self._clock.monotonic(), OVERDUE_AT_ONCE - len(self._looks)
        if most <= 0 or since - self._looked < OVERDUE_PAUSE:
            return 0
        self._looked = since
        late = await self._ledger.overdue(most)
        for job in late:
            task = asyncio.get_running_loop().create_task(self._one(job, since))
            self._looks.add(task)
            task.add_done_callback(self._looks.discard)
            task.add_done_callback(partial(told_if_crashed, job))
        return len(late)

    async def _claim(self) -> int:
        """Without a backlog the sweeper leaves half of the slots to rows that come in at this very moment."""
        with self.hold(self._slots if self._backlog else max(1, self.free // 2)) as held:
            jobs = await self._ledger.claim(held.slots, held.room) if held.slots else []
            self.start(jobs, held)
        self._backlog = len(jobs) == held.slots or self._is_full(jobs, held)
        return len(jobs)

    def _is_full(self, jobs: Sequence[Job], held: Held) -> bool:
        """More of a channel may wait than it had room for: whoever ends a call of it makes some."""
        taken, running = (Counter(job.channel for job in some) for some in (jobs, self._running.values()))
        return any(taken[name] == held.room.get(name) for name in running)

    def _room(self) -> dict[str, int]:
        """What was claimed and is not called yet will take room too."""
        return {name: max(0, free - self._on_the_way[name]) for name, free in self._routes.room().items()}

    def _finished(self, task: "asyncio.Task[None]") -> None:
        job = self._running.pop(task)
        self._on_the_way[job.channel] -= job.id not in self._called
        self._called.discard(job.id)
        if self._backlog:
            self._wake.set()
        told_if_crashed(job, task)

    async def _one(self, job: Job, since: float) -> None:
        look = Look(self._clock, job, since)
        try:
            result = await self._attempt(job, look) if job.state == State.QUEUED else self._overdue(job, look)
            await self._gate.after(job, result, look.provider, look.counted)
            await self._settle(job, replace(result, provider=look.provider or job.provider), look)
        except UnknownKey:
            await self._without_key(job, look)

    async def _attempt(self, job: Job, look: Look) -> Result:
        if ended := deadlines.ended_before_call(job, look.now()):
            return ended
        try:
            inside = self._secrets.open(job)
            return await self._call(job, inside, look)
        except SealBroken:
            return Result(state=State.FAILED, reason=Reason.CONTACTS_BROKEN)
        except Stopped as stopped:
            return Result(state=State.FAILED, reason=stopped.reason, untried=True, refused=stopped.refused)
        except (Permanent, Retryable, Unknown) as trouble:
            another = look.provider is not None and self._routes.another(job, look.provider)
            result = deadlines.after_trouble(job, trouble, look.now(), inside.email is not None, another)
            return replace(result, ms=look.call_ms())

    async def _call(self, job: Job, inside: LoginSecrets, look: Look) -> Result:
        lane = self._routes.choose(job)
        if isinstance(lane, NoLane):
            return _not_now(job, lane, look.now(), inside.email is not None)
        message = self._secrets.message(job, inside, look.now())
        if job.channel == "sms":
            look.counted = await self._gate.ask(job, inside)
            lane = self._routes.choose(job)  # others began meanwhile
            if isinstance(lane, NoLane):
                return _not_now(job, lane, look.now(), inside.email is not None)
        lease = LEASE_SECONDS - LEASE_SPARE - look.seconds()
        timeout = min(deadlines.time_for_call(job, look.now()), lease)
        if lease < deadlines.SHORTEST_CALL or timeout <= 0:
            return Result(state=State.QUEUED, reason=Reason.LEASE_TOO_SHORT, pause=0.0, untried=True)
        with lane.call() as provider:
            return await self._made(job, provider, message, timeout, look)

    async def _made(self, job: Job, provider: Channel, message: Message, timeout: float, look: Look) -> Result:
        self._called.add(job.id)
        self._on_the_way[job.channel] -= 1
        look.call(provider.name)
        if job.tries == 1 and job.cause == "login":
            metrics.LOGIN_TO_CALL_SECONDS.labels(job.channel).observe((look.now() - job.begun_at).total_seconds())
        failpoints.reached("delivery.before-call")
        ref = await provider.send(message, timeout)
        failpoints.reached("delivery.after-call")
        return replace(deadlines.after_success(job, look.now(), ref, provider.gives_receipts), ms=look.call_ms())

    def _overdue(self, job: Job, look: Look) -> Result:
        """A lease that ran out, or a receipt that never came."""
        if job.state == State.SENT and job.why is not None:
            return Result(state=State.SENT, log="receipt_not_awaited")
        reason = Reason.NO_RECEIPT if job.state == State.SENT else Reason.WORKER_LOST
        now = look.now()
        return deadlines.after_trouble(job, Unknown(reason), now, self._secrets.email_of(job, now) is not None)

    async def _without_key(self, job: Job, look: Look) -> None:
        """A queued row waits for the key; any other is looked at again once its lease has run out."""
        log.warning("key_unknown", login_id=str(job.login_id), channel=job.channel, cause=job.cause)
        if job.state == State.QUEUED:
            await self._settle(job, deadlines.without_key(job), look)

    async def _settle(self, job: Job, result: Result, look: Look) -> None:
        ended = look.now()

        async def write() -> bool:
            then = await self._consequences(job, result, look)
            return await self._ledger.settle(job, result, then)

        held = await until_it_works(write, "result_not_written_yet")
        tell(job, result, look, ended, held)
        if result.pause is not None and result.state == State.QUEUED:
            asyncio.get_running_loop().call_later(result.pause, self._wake.set)

    async def _consequences(self, job: Job, result: Result, look: Look) -> Consequences:
        """The events of a result, and the e-mail that an SMS which did not arrive makes due."""
        now = look.now()
        if job.channel == "sms" and result.state in DID_NOT_ARRIVE:
            login = await self._ledger.login_now(job)
            email = self._secrets.email_of(job, now)
            if not result.refused and fallback.fallback_due(job, result.state, login, email, now):
                metrics.FALLBACKS.labels(word_of(result.reason or result.state)).inc()
                return outcomes.with_email(job, result, self._secrets, now)
        return outcomes.without_email(job, result, now)


def _not_now(job: Job, no_lane: NoLane, now: datetime, has_email: bool) -> Result:
    if no_lane.held:
        return deadlines.held_back()
    if no_lane.pause is None:
        raise Permanent(Reason.NO_PROVIDER)
    return deadlines.without_lane(job, no_lane.pause, no_lane.down, now, has_email)
