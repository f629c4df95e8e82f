"""The events that a result makes: what gateway and dashboards hear, masked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from schemas.events import (
    CodeDelivered,
    CodeSent,
    DeliveryFailed,
    EmailFallbackRequested,
    Event,
    FailedState,
    NextStep,
)
from services.delivery.compose import Secrets
from services.delivery.fallback import cause_after
from services.delivery.ports import Consequences, EmailRow, Job, Result
from services.delivery.states import State
from services.delivery.vendor_errors import word_of
from services.platform import metrics
from services.platform.clock import event_id
from services.platform.keys.contacts import Bound, mask_email, seal_login

SOURCE: Final = "delivery"
FAILURES: Final[Mapping[State, FailedState]] = {
    State.FAILED: "failed",
    State.UNDELIVERED: "undelivered",
    State.UNKNOWN: "unknown",
    State.EXPIRED: "expired",
    State.CANCELLED: "cancelled",
}


def without_email(job: Job, result: Result, now: datetime) -> Consequences:
    if result.state == State.SENT and result.log is None:
        return Consequences((sent(job, result, now),))
    if result.state == State.DELIVERED:
        return Consequences((delivered(job, result, now),))
    if result.doubtful:
        return Consequences((failed(job, result, now, "retry"),))
    if result.state in FAILURES:
        return Consequences((failed(job, result, now, "none"),))
    return Consequences()


def with_email(job: Job, result: Result, secrets: Secrets, now: datetime) -> Consequences:
    """The failure, the request and the e-mail's row; all three are written together."""
    inside, reason = secrets.open(job), word_of(result.reason or result.state)
    if inside.email_off:
        metrics.FALLBACKS_EMAIL_OFF.labels(reason).inc()
    cause = cause_after(job.cause)
    whose = (job.login_id, job.account_id, job.user_id)
    bound = Bound("EmailFallbackRequested", *whose, cause, "email", job.expires_at, job.code_key_id, job.digits)
    sealed = seal_login(secrets.contacts, bound, inside)
    masked = job.masked_email or mask_email(inside.email or "", domain=False)
    request = EmailFallbackRequested(
        **_envelope(job, now, "EmailFallbackRequested"),
        cause=cause,
        reason=reason,
        sealed=sealed,
        masked=masked,
        code_key_id=job.code_key_id,
        digits=job.digits,
        issued_at=job.begun_at,
        expires_at=job.expires_at,
    )
    row = EmailRow(
        id=row_id(job.login_id, "email", cause),
        cause=cause,
        sealed=sealed,
        masked=masked,
        recipient=secrets.recipient("email", inside),
        email_off=inside.email_off,
    )
    return Consequences((failed(job, result, now, "email"), request), row)


def sent(job: Job, result: Result, now: datetime) -> Event:
    return CodeSent(**_envelope(job, now, "CodeSent"), **_message(job, result, now))


def delivered(job: Job, result: Result, now: datetime) -> Event:
    return CodeDelivered(**_envelope(job, now, "CodeDelivered"), **_message(job, result, now))


def failed(job: Job, result: Result, now: datetime, then: NextStep) -> Event:
    return DeliveryFailed(
        **_envelope(job, now, "DeliveryFailed"),
        cause=job.cause,
        channel=job.channel,
        provider=result.provider,
        state=failed_state(result),
        reason=word_of(result.reason or result.state),
        next=then,
        masked=job.masked,
        country=job.country,
    )


def failed_state(result: Result) -> FailedState:
    return "unknown" if result.doubtful else FAILURES[result.state]


def row_id(login_id: UUID, channel: str, cause: str) -> UUID:
    """The ledger's id of a message: the same story gives the same row."""
    return uuid5(login_id, f"{channel}\x1f{cause}")


def _envelope(job: Job, now: datetime, kind: str) -> dict[str, Any]:
    return {
        "id": event_id(kind, job.id, job.tries, job.doubtful),
        "source": SOURCE,
        "time": now,
        "account_id": str(job.account_id),
        "user_id": str(job.user_id),
        "login_id": str(job.login_id),
    }


def _message(job: Job, result: Result, now: datetime) -> dict[str, Any]:
    return {
        "cause": job.cause,
        "channel": job.channel,
        "provider": result.provider or "",
        "masked": job.masked,
        "country": job.country,
        "ms_since_login": max(0, round((now - job.begun_at).total_seconds() * 1000)),
    }
