"""What events write about logins that end, harmless when it is repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest_asyncio

from deploy.local.stack import Stack
from services.delivery.intake import Challenge, Closing
from services.delivery.outcomes import row_id
from services.delivery.ports import Held
from services.delivery.postgres.intake import PostgresIntake
from services.platform.clock import new_id


@pytest_asyncio.fixture(scope="module")
async def pool(stack: Stack) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    async with asyncpg.create_pool(stack.dsn("delivery"), min_size=1, max_size=4) as made:
        yield made


def challenge(**changes: Any) -> Challenge:
    """Expired for everybody but its test: the running worker must not send it."""
    login_id, now = new_id(), datetime.now(UTC)
    made = Challenge(
        id=row_id(login_id, "sms", "login"),
        login_id=login_id,
        channel="sms",
        cause="login",
        account_id=uuid4(),
        user_id=uuid4(),
        account_epoch=1000,
        user_epoch=1000,
        sealed="AAAA",
        masked="+44 •••• ••67",
        masked_email=None,
        country="GB",
        locale=None,
        origin=None,
        code_key_id=1,
        digits=6,
        begun_at=now,
        challenged_at=now,
        expires_at=now - timedelta(seconds=1),
        recipient=None,
    )
    return made._replace(**changes)


async def test_a_login_that_was_closed_first_is_taken_as_closed(pool: Any):
    intake, late = PostgresIntake(pool), challenge()
    await intake.closings([Closing(late.login_id, late.account_id, late.user_id, 1000, 1000, "verified")], [])
    (job,) = await intake.challenges([late], Held(1, 0.0, {"sms": 1}))
    assert job.why == "verified"


async def test_a_login_is_closed_once_and_the_first_reason_stays(pool: Any):
    intake, one = PostgresIntake(pool), challenge()
    await intake.challenges([one], Held(0, 0.0, {}))
    for why in ("expired", "verified"):
        await intake.closings([Closing(one.login_id, one.account_id, one.user_id, 1000, 1000, why)], [])
    told = await pool.fetch("SELECT what, reason FROM delivery_log WHERE login_id = $1 ORDER BY id", one.login_id)
    assert [tuple(row) for row in told if row["what"] == "login_closed"] == [("login_closed", "expired")]
