"""What did not arrive, by reason; and SMS by country: the console's two sums."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from services.delivery.deliveries import Failures
from services.delivery.gate import Figure, Sum
from services.delivery.house import House
from services.delivery.postgres import reading
from services.delivery.postgres.guard import PostgresGuard
from services.delivery.postgres.guarding import PostgresGuarding
from services.delivery.postgres.reading import PostgresReading
from services.platform.clock import new_id
from tests.integration.delivery.house import own_house

LOGIN = "INSERT INTO logins (login_id, account_id, user_id, expires_at) VALUES ($1, $2, $1, now())"
ROW = """
INSERT INTO deliveries (id, login_id, channel, cause, account_id, user_id, state, reason, provider, sealed,
    sealed_event, sealed_cause, masked, code_key_id, digits, begun_at, challenged_at, expires_at, created_at)
VALUES ($1, $1, 'sms', 'login', $2, $1, $3, $4, 'twilio', '', 'LoginChallenged', 'login', '', 1, 6, now(), now(),
    now() + $5::interval, now() - $6::interval)
"""
GOOD, OVER = timedelta(minutes=5), timedelta(minutes=-5)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest_asyncio.fixture
async def house(stack: Stack) -> AsyncIterator[House]:
    async with own_house(stack) as made:
        yield made


async def write(
    house: House, account: UUID, state: str, reason: str, life: timedelta = GOOD, ago: timedelta = MINUTE
) -> None:
    row = new_id()
    await house.pool.execute(LOGIN, row, account)
    await house.pool.execute(ROW, row, account, state, reason, life, ago)


async def found(house: House, account: UUID | None = None) -> Failures:
    return await PostgresReading(house.pool).failures(datetime.now(UTC) - HOUR, account)


async def test_what_did_not_arrive_is_summed_by_reason_most_first(house: House):
    one, two = new_id(), new_id()
    for account, life in ((one, GOOD), (one, OVER), (two, OVER)):
        await write(house, account, "failed", "invalid-number:21211", life)
    await write(house, two, "expired", "too-late", OVER)
    await write(house, two, "delivered", "", GOOD)
    await write(house, two, "failed", "invalid-number:21211", ago=2 * HOUR)
    sums = [(g.state, g.reason, g.many, g.accounts, g.alive) for g in (await found(house)).groups]
    assert sums == [("failed", "invalid-number:21211", 3, 2, 1), ("expired", "too-late", 1, 1, 0)]
    assert [g.many for g in (await found(house, one)).groups] == [2]
    assert not (await found(house)).more


async def test_of_very_many_the_newest_are_summed_and_that_is_said(house: House, monkeypatch: pytest.MonkeyPatch):
    assert "LIMIT 20000" in reading.FAILURES
    monkeypatch.setattr(reading, "COUNTED", 3)
    monkeypatch.setattr(reading, "FAILURES", reading.FAILURES.replace("LIMIT 20000", "LIMIT 3"))
    for ago in range(4):
        await write(house, new_id(), "failed", "newest" if ago < 3 else "oldest", ago=ago * MINUTE)
    all_ = await found(house)
    assert ([(g.reason, g.many) for g in all_.groups], all_.more) == ([("newest", 3)], True)


async def test_countries_are_summed_over_accounts(house: House):
    figures = PostgresGuard(house.pool, HOUR)
    for country, sends, cost in (("GB", 3, "0.3"), ("GB", 1, "0.1"), ("DE", 2, "0.4")):
        await figures.add({Figure(new_id(), country, "twilio", ""): Sum(sends=sends, cost=Decimal(cost))})
    await figures.add({Figure(new_id(), "FR", "", "guard-country"): Sum(stopped=5)})
    await house.pool.execute("UPDATE guard_figures SET verified = 1 WHERE sends = 3")
    rows = [dict(row) for row in await PostgresGuarding(house.pool, HOUR).by_country(None, 1)]
    assert [(row["country"], row["sends"], row["conversion"], row["cost"]) for row in rows] == [
        ("GB", 4, 0.25, 0.4),
        ("DE", 2, 0.0, 0.4),
    ]
