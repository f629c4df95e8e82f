"""Receipts move a row forward only; a failure that one reports makes the e-mail due."""

import asyncio
from typing import Final, Protocol
from uuid import UUID

import structlog

from services.delivery import fallback, outcomes
from services.delivery.compose import Secrets
from services.delivery.ports import Consequences, Job, LoginNow, Result
from services.delivery.states import DID_NOT_ARRIVE
from services.platform.keys.keyring import UnknownKey

log = structlog.get_logger()

PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class Received(Protocol):
    """The part of Postgres that receipts need; a job is leased like any other."""

    async def awaiting(self, delivery_id: UUID) -> Job | None: ...
    async def still_sending(self, delivery_id: UUID) -> bool: ...
    async def login_now(self, job: Job) -> LoginNow: ...
    async def settle(self, job: Job, result: Result, then: Consequences) -> bool: ...


async def _sent(received: Received, delivery_id: UUID) -> Job | None:
    """A receipt can overtake the answer that it belongs to: wait for that one to be written."""
    for pause in PAUSES:
        if (job := await received.awaiting(delivery_id)) is not None:
            return job
        if not await received.still_sending(delivery_id):
            break
        await asyncio.sleep(pause)
    return await received.awaiting(delivery_id)


async def receive(received: Received, secrets: Secrets, delivery_id: UUID, result: Result) -> bool:
    """Whether the receipt changed anything: a late, repeated or backward one does not. Without the key that opens the
    row, the row waits for its receipt in vain, and its e-mail is made then.
    """
    job = await _sent(received, delivery_id)
    if job is None:
        return False
    if result.state in DID_NOT_ARRIVE:
        login = await received.login_now(job)
        try:
            email = secrets.email_of(job, job.now)
        except UnknownKey:
            log.warning("key_unknown", login_id=str(job.login_id), channel=job.channel, cause=job.cause)
            return False
        if fallback.fallback_due(job, result.state, login, email, job.now):
            return await received.settle(job, result, outcomes.with_email(job, result, secrets, job.now))
    return await received.settle(job, result, outcomes.without_email(job, result, job.now))
