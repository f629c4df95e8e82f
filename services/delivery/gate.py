"""The guard at work: asks before an SMS is submitted, keeps the day's figures, knows what each account wants."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import structlog

from services.delivery import guard, prefixes
from services.delivery.guard import Own, Prices, Rules
from services.delivery.notices import is_notice
from services.delivery.ports import Job, Result
from services.delivery.provider import Permanent
from services.delivery.states import Reason, State
from services.platform import metrics
from services.platform.keys.contacts import Contacts, LoginSecrets, column_info
from services.platform.postgres import until_it_works

log = structlog.get_logger()

MOST_TOLD: Final = 1000


class Stopped(Permanent):
    """The guard let no SMS go out. `refused`: no e-mail takes its place either."""

    def __init__(self, reason: str, refused: bool) -> None:
        super().__init__(reason)
        self.refused = refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One SMS that wants to go out. `counts` is 0 for a notice: nobody answers it, so it says nothing of its number."""

    account: UUID
    country: str | None
    prefixes: Sequence[bytes]
    counts: int
    recipient: bytes | None
    cost: Decimal
    rules: Rules
    email_off: bool = False


class Answer(NamedTuple):
    """`unnamed`: beginnings that many numbers share and that operators cannot read yet."""

    reason: Reason | None = None
    unnamed: frozenset[bytes] = frozenset()


class Figure(NamedTuple):
    """Of the day: what went out by a provider, or was stopped for a reason."""

    account: UUID
    country: str
    provider: str
    reason: str


class Sum(NamedTuple):
    sends: int = 0
    stopped: int = 0
    cost: Decimal = Decimal(0)

    def plus(self, other: "Sum") -> "Sum":
        return Sum(self.sends + other.sends, self.stopped + other.stopped, self.cost + other.cost)


class Counters(Protocol):
    """The part of Postgres that the guard needs. Who is counted is counted before it is judged."""

    async def take(self, one: Ask) -> Answer: ...
    async def give_back(self, one: Ask) -> None: ...
    async def name(self, account: UUID, sealed: Mapping[bytes, bytes]) -> None: ...


class Gate:
    """What every SMS passes before it is submitted."""

    def __init__(self, counters: Counters, contacts: Contacts, rules: Rules, prices: Prices) -> None:
        self._counters, self._contacts = counters, contacts
        self._rules, self._prices = rules, prices
        self._own: dict[UUID, Own] = {}
        self._figures: dict[Figure, Sum] = {}
        self._told: set[tuple[UUID, str | None, Reason]] = set()

    def update(self, changes: Iterable[tuple[UUID, Own | None]]) -> None:
        """What accounts want, since it was read last; and what was told once may be told again."""
        self._told.clear()
        for account, own in changes:
            if own is None:
                self._own.pop(account, None)
            else:
                self._own[account] = own

    def rules(self, account: UUID | None) -> Rules:
        """None: what holds for whoever has nothing of their own."""
        return guard.rules_of(self._rules, self._own.get(account) if account else None)

    def seal(self, account: UUID, prefix: bytes, text: str) -> bytes:
        """What operators read of a beginning."""
        return self._contacts.seal(text.encode(), shown_info(account, prefix))

    def add(self, figures: Mapping[Figure, Sum]) -> None:
        for figure, amount in figures.items():
            self._figures[figure] = self._figures.get(figure, Sum()).plus(amount)

    def figures(self) -> dict[Figure, Sum]:
        """What is not in Postgres yet; the caller adds it again if it does not come there."""
        taken, self._figures = self._figures, {}
        return taken

    async def ask(self, job: Job, inside: LoginSecrets) -> bool:
        """Whether the SMS was counted, so that it has to be given back if nobody takes it. A row is asked for once, and
        once more when it is submitted again in doubt. Raises `Stopped`.
        """
        if job.channel != "sms" or inside.phone is None or (job.provider is not None and not job.doubtful):
            return False
        ask = self._of(job, inside.email_off)
        reason = guard.wrong_number(job.country, prefixes.number_type(inside.phone), ask.rules)
        if reason is not None and ask.rules.mode == "enforce":
            self._stop(job, ask, reason)
        answer = await until_it_works(lambda: self._counters.take(ask), "guard_not_asked_yet")
        await self._name(ask, inside.phone, answer.unnamed)
        self._stop(job, ask, reason or answer.reason)
        return True

    async def after(self, job: Job, result: Result, called: str | None, counted: bool) -> None:
        """What one look at an SMS came to: `called` names the provider of a call, if there was one."""
        if job.channel != "sms":
            return
        if called is not None and (result.state in (State.SENT, State.UNKNOWN) or result.doubtful):
            cost = guard.price(self._prices, called, job.country)
            self.add({Figure(job.account_id, job.country or "", called, ""): Sum(sends=1, cost=cost)})
        if _was_for_nothing(job, result, called, counted):
            given = self._of(job)
            await until_it_works(lambda: self._counters.give_back(given), "guard_not_told_yet")

    def _of(self, job: Job, email_off: bool = False) -> Ask:
        return Ask(
            account=job.account_id,
            country=job.country,
            prefixes=prefixes.split(job.prefixes),
            counts=0 if is_notice(job) else 1,
            recipient=job.recipient,
            cost=guard.dearest(self._prices, job.country),
            rules=self.rules(job.account_id),
            email_off=email_off,
        )

    def _stop(self, job: Job, ask: Ask, reason: Reason | None) -> None:
        verdict = guard.verdict(reason, ask.rules, ask.email_off)
        if verdict.reason is None:
            return
        action = "monitor" if verdict.action == "allow" else verdict.action
        metrics.GUARD_STOPS.labels(verdict.reason.value, action).inc()
        self.add({Figure(job.account_id, job.country or "", "", verdict.reason.value): Sum(stopped=1)})
        if verdict.action != "allow":
            raise Stopped(verdict.reason, refused=verdict.action == "refuse")
        self._tell_once(job, verdict.reason)

    def _tell_once(self, job: Job, reason: Reason) -> None:
        """Who only watches would else get a line for each SMS."""
        about = (job.account_id, job.country, reason)
        if about not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(about)
            log.warning("guard_would_stop", account=str(job.account_id), country=job.country, reason=reason.value)

    async def _name(self, ask: Ask, phone: str, unnamed: frozenset[bytes]) -> None:
        """Where few numbers share a beginning nobody can read it: it would say too much of them."""
        if not unnamed:
            return
        texts = zip(ask.prefixes, prefixes.shown(phone), strict=True)
        sealed = {name: self.seal(ask.account, name, text) for name, text in texts if name in unnamed}
        await until_it_works(lambda: self._counters.name(ask.account, sealed), "guard_not_told_yet")


def _was_for_nothing(job: Job, result: Result, called: str | None, counted: bool) -> bool:
    """Whether an SMS that was counted, at this look or at an earlier one, is known to be taken by nobody."""
    if called is not None:
        return result.state == State.FAILED
    was_refused = job.state == State.QUEUED and job.provider is not None and not job.doubtful
    return counted or (was_refused and result.state in (State.FAILED, State.EXPIRED, State.CANCELLED))


def shown_info(account: UUID, prefix: bytes) -> str:
    """What the readable form of a beginning is sealed to."""
    return column_info("contacts", "guard_prefixes", f"{account}:{prefix.hex()}", "shown")
