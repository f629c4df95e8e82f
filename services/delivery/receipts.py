"""Receipts move a row forward only; a failure that one reports makes the e-mail due.

A receipt names its message by a token of ours (`keys/tokens.py`) that the provider hands back, not by the provider's
own id: so it counts even when it overtakes the answer that brings that id.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

import structlog

from services.delivery import fallback, outcomes
from services.delivery.compose import Secrets
from services.delivery.ports import Consequences, Job, LoginNow, Result
from services.delivery.states import DID_NOT_ARRIVE, State
from services.platform import metrics
from services.platform.keys.keyring import UnknownKey
from services.platform.metering import country

log = structlog.get_logger()

PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
TRIES: Final = 5


class Forged(Exception):
    """The provider did not sign this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A receipt as it came; `query` and `body` are what the signature was made over."""

    query: str
    content_type: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the provider says, and our token where it hands one back. `result` None: it says nothing yet."""

    token: str | None
    result: Result | None


class Reader(Protocol):
    """How one provider signs and words its receipts."""

    def read(self, given: Given) -> Receipt:
        """Raises `Forged`."""
        ...


class Received(Protocol):
    """The part of Postgres that receipts need. They lease nothing: a row that was changed since it was read stays."""

    async def receivable(self, delivery_id: UUID) -> Job | None: ...
    async def login_now(self, job: Job) -> LoginNow: ...
    async def try_settle(self, job: Job, result: Result, then: Consequences) -> bool: ...


async def receive(received: Received, secrets: Secrets, delivery_id: UUID, result: Result) -> bool:
    """Whether the receipt changed anything: a late, repeated or backward one does not. Who changes the row between
    the look at it and the write makes the receipt look again.
    """
    for _ in range(TRIES):
        job = await _sent(received, delivery_id)
        if job is None or not _counts(job, result):
            return False
        then = await _consequences(received, secrets, job, result)
        if then is None:
            return False
        if await received.try_settle(job, result, then):
            of = (job.channel, result.provider or job.provider or "none", country(job.country), result.state.value)
            metrics.RECEIPTS.labels(*of).inc()
            return True
    log.warning("receipt_not_applied", delivery_id=str(delivery_id), state=result.state.value)
    return False


async def _sent(received: Received, delivery_id: UUID) -> Job | None:
    """A receipt can overtake the answer that it belongs to: wait for that one to be written, but not until the call is
    given up for silent: the receipt shows that the provider has the message.
    """
    for pause in PAUSES:
        job = await received.receivable(delivery_id)
        if job is None or job.state == State.SENT:
            return job
        await asyncio.sleep(pause)
    return await received.receivable(delivery_id)


def _counts(job: Job, result: Result) -> bool:
    """ "Delivered" always counts; a failure only of the submission that the row waits for, not of an earlier one."""
    if result.state == State.DELIVERED:
        return True
    if job.state == State.SENDING and job.tries > 1:
        return False
    return job.provider in (None, result.provider)


async def _consequences(received: Received, secrets: Secrets, job: Job, result: Result) -> Consequences | None:
    """None without the key that opens the row: it waits for its receipt in vain, and its e-mail is made then."""
    if result.state in DID_NOT_ARRIVE:
        login = await received.login_now(job)
        try:
            email = secrets.email_of(job, job.now)
        except UnknownKey:
            log.warning("key_unknown", login_id=str(job.login_id), channel=job.channel, cause=job.cause)
            return None
        if fallback.fallback_due(job, result.state, login, email, job.now):
            return outcomes.with_email(job, result, secrets, job.now)
    return outcomes.without_email(job, result, job.now)
