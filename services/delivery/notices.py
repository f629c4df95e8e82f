"""Messages that carry no code: what they are told by, and how patient delivery is with them."""

from typing import Final

from schemas.events import Notice
from services.delivery.ports import Job

EVENT: Final = "NoticeRequested"
PREFIX: Final = "notice:"


def is_notice(job: Job) -> bool:
    """Also a replay of one: the row's own cause changes, what was sealed does not."""
    return job.sealed_event == EVENT


def cause_of_notice(notice: Notice) -> str:
    return PREFIX + notice


def notice_of_job(job: Job) -> str:
    return job.sealed_cause.removeprefix(PREFIX)
