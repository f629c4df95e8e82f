"""When a message may still be called, how long a call may take, when to look again. Time is passed in."""

from datetime import datetime, timedelta
from typing import Final

from services.delivery.notices import is_notice
from services.delivery.ports import Job, Result
from services.delivery.provider import Blame, Permanent, Retryable, Unknown
from services.delivery.states import Reason, State

SMS_WINDOW: Final = timedelta(seconds=10)
CALL_SECONDS: Final = {"sms": 4.0, "email": 8.0}
SHORTEST_CALL: Final = 1.0
LATE_LOOK: Final = 0.75  # a row is looked at when it is due or a little later
SHORTEST_PAUSE: Final = 0.5
SHORTEST_WAIT: Final = 0.1
HELD_SECONDS: Final = 3.0
MOST_TRIES: Final = {"sms": 4, "email": 60}
NOTICE_TRIES: Final = 60
KEY_PAUSE: Final = 1.0
NOTICE_KEY_PAUSE: Final = 30.0
WORTH_A_SECOND_MESSAGE: Final = timedelta(seconds=20)
RECEIPT_AFTER_CHALLENGE: Final = timedelta(seconds=25)
RECEIPT_AFTER_HANDOVER: Final = timedelta(seconds=10)

Trouble = Permanent | Retryable | Unknown


def ended_before_call(job: Job, now: datetime) -> Result | None:
    """The row's end when there is nothing left to send."""
    if job.why is not None:
        return Result(state=State.CANCELLED, reason=job.why)
    if (job.expires_at - now).total_seconds() < SHORTEST_CALL:  # or the call would arrive when the code is dead
        return Result(state=State.EXPIRED, reason="expired")
    if time_for_call(job, now) < SHORTEST_CALL and job.tries > 1:
        return Result(state=State.FAILED, reason=Reason.TOO_LATE)
    return None


def deadline(job: Job) -> datetime:
    """No call may end after it. A first call is always made: a late broker is no failure of the SMS."""
    if job.channel == "sms" and job.tries > 1 and not job.doubtful and not is_notice(job):
        return min(job.expires_at, job.challenged_at + SMS_WINDOW)
    return job.expires_at


def time_for_call(job: Job, now: datetime) -> float:
    return min(CALL_SECONDS[job.channel], (deadline(job) - now).total_seconds())


def after_success(job: Job, now: datetime, ref: str, receipts: bool) -> Result:
    """Sent; where the provider gives receipts, one is awaited."""
    pause = None
    if receipts:
        until = max(job.challenged_at + RECEIPT_AFTER_CHALLENGE, now + RECEIPT_AFTER_HANDOVER)
        pause = (until - now).total_seconds()
    return Result(state=State.SENT, ref=ref, pause=pause)


def after_trouble(job: Job, trouble: Trouble, now: datetime, has_email: bool, another: bool = False) -> Result:
    """What an error makes of the row: again later, the end, or doubt. `another`: another provider may take it."""
    match trouble:
        case Permanent():
            if trouble.blame is not Blame.NUMBER and another:
                return _again(job, Retryable(trouble.reason), now, at_once=True)
            return Result(state=State.FAILED, reason=trouble.reason)
        case Retryable():
            return _again(job, trouble, now, at_once=another)
        case Unknown():
            return _in_doubt(job, trouble, now, has_email)


def held_back() -> Result:
    """What this worker knows of pauses may be two seconds old: it looks again."""
    return Result(state=State.QUEUED, reason=Reason.PAUSED, pause=HELD_SECONDS, untried=True)


def without_lane(job: Job, pause: float, down: bool, now: datetime, has_email: bool) -> Result:
    """No provider takes it now. While all are silent, the next channel is asked at once; while all are busy, when the
    window has closed. Where there is none, it waits: nothing was tried.
    """
    reason = Reason.PROVIDERS_DOWN if down else Reason.PROVIDERS_BUSY
    may_fall_back = job.channel == "sms" and has_email and not is_notice(job)
    if may_fall_back and (down or now >= job.challenged_at + SMS_WINDOW):
        return Result(state=State.FAILED, reason=reason, untried=True)
    return Result(state=State.QUEUED, reason=reason, pause=max(pause, SHORTEST_WAIT), untried=True)


def _again(job: Job, trouble: Retryable, now: datetime, at_once: bool = False) -> Result:
    """Later, as often as the window allows; the last try is made just before it closes. Another provider is asked at
    once, whatever the first one said about later.
    """
    patient = job.channel == "email" or job.doubtful or is_notice(job)
    last = job.expires_at if patient else job.challenged_at + SMS_WINDOW
    left = (min(last, job.expires_at) - now).total_seconds() - SHORTEST_CALL - LATE_LOOK
    pause = 0.0 if at_once else max(min(back_off(job), left), SHORTEST_PAUSE, trouble.after or 0.0)
    if pause > left or job.tries >= (NOTICE_TRIES if is_notice(job) else MOST_TRIES[job.channel]):
        return Result(state=State.FAILED, reason=trouble.reason)
    return Result(state=State.QUEUED, reason=trouble.reason, pause=pause)


def _in_doubt(job: Job, trouble: Unknown, now: datetime, has_email: bool) -> Result:
    """The next channel where there is one; else the same message once more, if that is worth it."""
    alone = job.channel == "email" or not has_email
    if alone and job.doubtful == 0 and job.expires_at - now > WORTH_A_SECOND_MESSAGE:
        return Result(state=State.QUEUED, reason=trouble.reason, pause=0.0, doubtful=True)
    return Result(state=State.UNKNOWN, reason=trouble.reason)


def without_key(job: Job) -> Result:
    """A key is on its way, as long as the code lives: nothing was tried yet."""
    pause = NOTICE_KEY_PAUSE if is_notice(job) else KEY_PAUSE
    return Result(state=State.QUEUED, reason=Reason.KEY_UNKNOWN, pause=pause, untried=True)


def back_off(job: Job) -> float:
    """Seconds: half a second doubling to 2 for an SMS, 1 to 15 for an e-mail, 2 to half an hour for a notice."""
    first, most = (0.5, 2.0) if job.channel == "sms" else (1.0, 15.0)
    if is_notice(job):
        first, most = 2.0, 1800.0
    return min(most, first * 2.0 ** min(max(job.tries - 1, 0), 10))
