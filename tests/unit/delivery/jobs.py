"""A ledger row for the rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.delivery.ports import Job

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def job(**changes: Any) -> Job:
    plain = Job(
        id=UUID(int=1),
        login_id=UUID(int=2),
        channel="sms",
        cause="login",
        account_id=UUID(int=3),
        user_id=UUID(int=4),
        state="queued",
        tries=1,
        doubtful=0,
        lease=UUID(int=5),
        provider=None,
        sealed="",
        sealed_event="LoginChallenged",
        sealed_cause="login",
        masked="+44 •••• ••67",
        masked_email=None,
        country="GB",
        locale=None,
        origin=None,
        code_key_id=1,
        digits=6,
        begun_at=NOW,
        challenged_at=NOW,
        expires_at=NOW + timedelta(seconds=300),
        why=None,
        now=NOW,
    )
    return replace(plain, **changes)
