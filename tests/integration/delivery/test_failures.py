"""What did not arrive, by reason, and whom no code reached; and SMS by country: the console's sums."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio
from yarl import URL

from deploy.local.stack import Stack
from services.delivery import replay
from services.delivery.deliveries import Failure, Failures, ListQuery, Wanted
from services.delivery.gate import Figure, Sum
from services.delivery.house import House
from services.delivery.operations import failures, fields
from services.delivery.postgres import reading
from services.delivery.postgres.guard import PostgresGuard
from services.delivery.postgres.guarding import PostgresGuarding
from services.delivery.postgres.reading import PostgresReading
from services.delivery.routes.parts import PARTS
from services.platform.clock import new_id
from tests.integration.delivery.house import own_house
from tests.integration.delivery.test_seeing import nodes

LOGIN = """
INSERT INTO logins (login_id, account_id, user_id, expires_at, closed_why) VALUES ($1, $2, $3, now(), $4)
ON CONFLICT (login_id) DO UPDATE SET closed_why = excluded.closed_why
"""
ROW = """
INSERT INTO deliveries (id, login_id, channel, cause, account_id, user_id, state, reason, provider, sealed,
    sealed_event, sealed_cause, masked, code_key_id, digits, begun_at, challenged_at, expires_at, created_at)
VALUES (gen_random_uuid(), $1, $7, $8, $2, $3, $4, $5, $6, '', $11, 'login', '', 1, 6, now(), now(),
    now() + $9::interval, now() - $10::interval)
"""
GOOD, OVER = timedelta(minutes=5), timedelta(minutes=-5)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest_asyncio.fixture
async def house(stack: Stack) -> AsyncIterator[House]:
    async with own_house(stack) as made:
        yield made


class Message(NamedTuple):
    """One of a login. `closed`: how that login ended."""

    account: UUID
    state: str
    reason: str | None = None
    life: timedelta = GOOD
    ago: timedelta = MINUTE
    login: UUID | None = None
    user: UUID | None = None
    channel: str = "sms"
    cause: str = "login"
    provider: str | None = "twilio"
    closed: str | None = None
    event: str = "LoginChallenged"


async def write(house: House, *given: Any, **more: Any) -> UUID:
    """The login that the message is of."""
    one = Message(*given, **more)
    login = one.login or new_id()
    user = one.user or login
    await house.pool.execute(LOGIN, login, one.account, user, one.closed)
    how = (one.state, one.reason, one.provider, one.channel, one.cause, one.life, one.ago, one.event)
    await house.pool.execute(ROW, login, one.account, user, *how)
    return login


async def found(house: House, account: UUID | None = None) -> Failures:
    return await PostgresReading(house.pool).failures(datetime.now(UTC) - HOUR, account)


async def test_what_did_not_arrive_is_summed_by_reason_most_first(house: House):
    one, two = new_id(), new_id()
    for account, life in ((one, GOOD), (one, OVER), (two, OVER)):
        await write(house, account, "failed", "invalid-number:21211", life)
    await write(house, two, "expired", "too-late", OVER)
    await write(house, two, "delivered", "", GOOD)
    await write(house, two, "failed", "invalid-number:21211", ago=2 * HOUR)
    sums = [(g.state, g.reason, g.many, g.accounts, g.live) for g in (await found(house)).groups]
    assert sums == [("failed", "invalid-number:21211", 3, 2, 1), ("expired", "too-late", 1, 1, 0)]
    assert [g.many for g in (await found(house, one)).groups] == [2]
    assert not (await found(house)).more


async def judged(house: House, group: Failure) -> dict[str, int]:
    """What the page says of a group, and that it is what counting for a replay says."""
    parts = house.site[PARTS]
    found = await failures.would_send(parts, group, None, failures.JUDGED)
    assert not found.more
    shown = failures.shown(group, found, (datetime.now(UTC) - HOUR).isoformat(), None)
    wanted = fields.read(URL(shown["replay"]).query, Wanted)
    assert not wanted.wrong
    dry_run = await replay.count(parts.replays, wanted.value, datetime.now(UTC), parts.limits)
    assert shown["sends"] == dry_run.counts["replayed"]
    return {"sends": shown["sends"], **shown["skipped"]}


async def test_what_can_be_sent_again_is_what_a_replay_of_that_group_would_send(house: House):
    account, user = new_id(), new_id()
    await write(house, account, "failed", "refused", OVER)
    await write(house, account, "failed", "refused")
    for why in ("verified", "contact-changed"):
        await write(house, account, "failed", "refused", closed=why)
    settled = await write(house, account, "failed", "refused", ago=3 * MINUTE)
    await write(house, account, "delivered", login=settled, cause="replay:r", ago=MINUTE)
    waits = await write(house, account, "failed", "refused", ago=3 * MINUTE)
    await write(house, account, "queued", login=waits, cause="replay:r", ago=MINUTE)
    twice = await write(house, account, "failed", "refused", ago=3 * MINUTE)
    await write(house, account, "failed", "refused", login=twice, cause="replay:r", ago=MINUTE)
    for _ in range(7):
        await write(house, account, "failed", "refused", user=user, ago=2 * MINUTE)
    (group,) = (await found(house)).groups
    assert (group.many, group.live) == (15, 14)
    assert await judged(house, group) == {
        "sends": 7,
        "expired": 1,
        "used": 1,
        "closed:contact-changed": 1,
        "under-way": 1,
        "limit": 2,
    }


async def test_what_no_provider_took_and_what_one_refused_are_two_groups_for_a_replay_too(house: House):
    account = new_id()
    for provider in ("twilio", None, None):
        await write(house, account, "failed", "tries-used-up", provider=provider)
    groups = {group.provider: group for group in (await found(house)).groups}
    assert await judged(house, groups["twilio"]) == {"sends": 1}
    assert await judged(house, groups[None]) == {"sends": 2}


async def test_of_very_many_that_are_good_still_the_newest_are_judged_and_that_is_said(house: House):
    for _ in range(4):
        await write(house, new_id(), "failed", "refused")
    (group,) = (await found(house)).groups
    few = await failures.would_send(house.site[PARTS], group, None, 3)
    assert (few.counts["replayed"], few.more) == (3, True)


async def reached_by_none(house: House) -> tuple[int, int]:
    """People and logins; and that the list names the same logins."""
    reading, since = PostgresReading(house.pool), datetime.now(UTC) - HOUR
    counted = await reading.unreached(since)
    listed = await reading.page(ListQuery(unreached=True, since=since), None, 100)
    assert len({row.login_id for row in listed.rows}) == counted.logins
    assert len({row.user for row in listed.rows}) == counted.people
    assert not counted.more
    return counted.people, counted.logins


async def test_whom_no_code_reached_is_counted_and_listed(house: House):
    account, user = new_id(), new_id()
    assert await reached_by_none(house) == (0, 0)
    for _ in range(2):
        await write(house, account, "failed", "refused", user=user)
    lost = await write(house, account, "undelivered", "unreachable", OVER)
    await write(house, account, "failed", "refused", login=lost, channel="email", cause="fallback:login")
    await write(house, account, "cancelled", "expired", login=lost, cause="resend:1")
    assert await reached_by_none(house) == (2, 3)
    await write(house, account, "failed", "refused", closed="verified")
    await write(house, account, "failed", "refused", ago=2 * HOUR)
    await write(house, account, "failed", "refused", event="NoticeRequested", cause="notice:locked")
    for state in ("delivered", "sent", "queued"):
        again = await write(house, account, "failed", "refused")
        await write(house, account, state, login=again, channel="email", cause="fallback:login")
    assert await reached_by_none(house) == (2, 3)
    await write(house, account, "delivered", login=lost, cause="replay:r")
    assert await reached_by_none(house) == (1, 2)
    told = await write(house, account, "failed", "refused")
    await write(house, account, "delivered", login=told, event="NoticeRequested", cause="notice:locked")
    assert await reached_by_none(house) == (2, 3)


async def test_whom_no_code_reached_is_looked_for_by_keys_however_much_arrived(house: House):
    """By the plan: the newest that did not arrive, and for each of them its own login's rows."""
    await house.pool.execute(
        "INSERT INTO logins (login_id) SELECT md5('l' || n)::uuid FROM generate_series(1, 20000) n"
    )
    await house.pool.execute(
        "INSERT INTO deliveries (id, login_id, channel, cause, account_id, user_id, state, sealed, sealed_event,"
        " sealed_cause, masked, code_key_id, digits, begun_at, challenged_at, expires_at)"
        " SELECT md5('d' || n)::uuid, md5('l' || n)::uuid, 'sms', 'login', md5('a')::uuid, md5('u' || n)::uuid,"
        " CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'delivered' END, '', 'LoginChallenged', 'login', '', 1, 6, now(),"
        " now(), now() FROM generate_series(1, 20000) n"
    )
    async with house.pool.acquire() as connection, connection.transaction():
        await connection.execute(f"ANALYZE deliveries; ANALYZE logins; {reading.IN_ORDER}")
        asked = f"EXPLAIN (ANALYZE, FORMAT JSON) {reading.PEOPLE}"
        (plan,) = await connection.fetchval(asked, datetime.now(UTC) - HOUR)
    looks = [node for node in nodes(plan["Plan"]) if node.get("Relation Name") in ("deliveries", "logins")]
    seen = [(node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in looks]
    assert seen == [400, 400, 400]
    assert (await PostgresReading(house.pool).unreached(datetime.now(UTC) - HOUR)) == (400, 400, False)


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
