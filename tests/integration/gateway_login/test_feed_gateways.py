"""Several gateways read the topic `logins`: they come, go and meet, and each login is opened once."""

import asyncio
import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas import topics
from services.login_gateway import feed_records
from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.clients import NewClient
from services.login_gateway.feed import FedLogin, FeedUser
from services.login_gateway.feed_records import FedRecord, Sender
from services.login_gateway.house import HOUSE
from services.login_gateway.ports import Contended, Move, Moved, NotStorable
from services.login_gateway.postgres import clients
from services.login_gateway.postgres.chores import chores, first_id_of
from services.login_gateway.postgres.feed_road import PostgresFeedRoad
from services.login_gateway.who import COMMAND_LINE
from services.platform.clock import SystemClock
from services.platform.housekeeping import Housekeeping
from tests.feeding import Writer, items, producing
from tests.integration.gateway_login.test_feed_calls import item, platform
from tests.integration.gateway_login.test_feed_topic import COUNT, OF, PLAIN_USERS, held
from tests.integration.gateway_login.world import Desk, Heard, Member, Place, eventually, opened

FIRST = Move(0, 0, 1)
AHEAD = """
UPDATE feed_offsets SET next_offset = next_offset + 1000000 WHERE partition = $1 AND NOT cluster_id LIKE 'test-%'
"""
FURTHEST = "SELECT max(next_offset) FROM feed_offsets WHERE partition = $1"


def road(desk: Desk) -> PostgresFeedRoad:
    return PostgresFeedRoad(desk.pool, desk.app[HOUSE])


def asked(who: Member, reference: str | None = None, **user: str) -> FedRecord:
    sender = Sender("cl_test", who.account_id, b"", False)
    wanted = FeedUser(**(user or {"user_id": str(who.user_id)}))
    return FedRecord(sender, FedLogin(reference or f"r-{secrets.token_hex(6)}x", wanted, SystemClock().now()))


def cluster() -> str:
    return f"test-{secrets.token_hex(6)}"


async def test_of_ten_that_have_the_same_records_one_writes(desk: Desk) -> None:
    who, here = await desk.member(sms=False), cluster()
    records = [asked(who) for _ in range(5)]
    tries = (road(desk).take(here, [Move(0, 0, 5)], records) for _ in range(10))
    results = await asyncio.gather(*tries, return_exceptions=True)
    failed = [result for result in results if isinstance(result, Exception)]
    assert len(failed) == 9
    assert all(isinstance(result, Moved | Contended) for result in failed), failed
    assert await desk.pool.fetchval(COUNT, who.account_id, [each.item.reference for each in records]) == 5
    assert await road(desk).offsets(here) == {0: 5}


async def test_who_comes_late_writes_nothing_of_any_partition(desk: Desk) -> None:
    who, here = await desk.member(sms=False), cluster()
    await road(desk).take(here, [FIRST], [asked(who)])
    late = asked(who)
    with pytest.raises(Moved):
        await road(desk).take(here, [Move(1, 0, 1), FIRST], [late])
    assert await desk.pool.fetchval(COUNT, who.account_id, [late.item.reference]) == 0
    assert await road(desk).offsets(here) == {0: 1}


async def test_a_batch_that_fails_leaves_nothing_behind(desk: Desk, place: Place) -> None:
    who, stuck, here = await desk.member(), await desk.member(), cluster()
    good = asked(who)
    bad = asked(who, external_id="a\x00b")._replace(due_at=SystemClock().now())
    with pytest.raises(NotStorable):
        await road(desk).take(here, [Move(0, 0, 2)], [good, bad])
    async with held(place, stuck.user_id):
        with pytest.raises(Contended):
            await road(desk).take(here, [Move(0, 0, 2)], [good, asked(stuck)])
    assert await desk.pool.fetchval(COUNT, who.account_id, [good.item.reference]) == 0
    assert await road(desk).offsets(here) == {}
    name = desk.app[HOUSE].names.of("logins", who.user_id)
    assert not await desk.pool.fetch("SELECT FROM counters WHERE name = $1", name), "it was counted and never opened"


async def test_gateways_that_come_and_go_open_each_login_once(desk: Desk, place: Place, heard: Heard) -> None:
    who = await desk.member(sms=False)
    people = [row["user_id"] for row in await desk.pool.fetch(PLAIN_USERS, who.account_id, 400)]
    made = await clients.create(desk.app[ADMINISTRATION], COMMAND_LINE, NewClient({"feed"}), str(who.account_id))
    given = items(people * 4, secrets.token_hex(6))
    references = [each["reference"] for each in given]
    async with producing(place.kafka) as producer:
        writer = Writer(producer, who.account_id, made.client_id, str(made.client_secret))
        feeding = asyncio.create_task(_slowly(writer, given))
        for part in (1, 2, 3):
            async with opened(place, heard):
                await _are_opened(desk, who.account_id, references, len(given) * part // 4)
        await feeding
    await _are_opened(desk, who.account_id, references, len(given))
    for reference in references[::100]:
        assert len(await desk.pool.fetch(OF, who.account_id, reference)) == 1


async def test_trouble_that_nobody_thought_of_ends_no_gateway(
    desk: Desk, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People sign in there. The feed begins anew, and opens what it was about to."""
    who, tripped, read = await desk.member(sms=False), list[Any](), feed_records.read

    def trips(record: Any, senders: Any) -> Any:
        if not tripped:
            tripped.append(record)
            raise RuntimeError("a defect")
        return read(record, senders)

    monkeypatch.setattr(feed_records, "read", trips)
    made = await clients.create(desk.app[ADMINISTRATION], COMMAND_LINE, NewClient({"feed"}), str(who.account_id))
    given = list[dict[str, Any]]()
    async with producing(place.kafka) as producer, asyncio.timeout(60):
        writer = Writer(producer, who.account_id, made.client_id, str(made.client_secret))
        while not tripped:  # until this gateway has partitions, and a record is in one
            given += (more := items([who.user_id] * 20, secrets.token_hex(6)))
            await writer.feed(*more)
        await _are_opened(desk, who.account_id, [each["reference"] for each in given], len(given))


async def test_an_offset_that_is_not_in_the_log_stops_nobody(desk: Desk, place: Place) -> None:
    """The topic was made anew, or Kafka was away for longer than it keeps: the partition is read from its beginning."""
    who = await desk.member(sms=False)
    made = await clients.create(desk.app[ADMINISTRATION], COMMAND_LINE, NewClient({"feed"}), str(who.account_id))
    first, second = of_one_partition(who)
    async with producing(place.kafka) as producer:
        writer = Writer(producer, who.account_id, made.client_id, str(made.client_secret))
        await writer.feed(first)
        await _are_opened(desk, who.account_id, [first["reference"]], 1)
        assert await desk.pool.execute(AHEAD, partition_of(first["reference"])) == "UPDATE 1"
        await writer.feed(second)
        await _are_opened(desk, who.account_id, [second["reference"]], 1)
    assert await desk.pool.fetchval(FURTHEST, partition_of(first["reference"])) < 1_000_000


def of_one_partition(who: Member) -> list[dict[str, Any]]:
    """Two logins whose references share a partition."""
    given = items([who.user_id] * 200, secrets.token_hex(6))
    at = partition_of(given[0]["reference"])
    return [each for each in given if partition_of(each["reference"]) == at][:2]


def partition_of(reference: str) -> int:
    found: int = DefaultPartitioner()(reference.encode(), list(range(topics.LOGINS.partitions)), [])
    return found


async def test_a_reference_is_over_after_two_days(desk: Desk) -> None:
    """Then it may name another login, and the old one keeps none of it; a younger one keeps its own."""
    who = await desk.member(sms=False)
    platform_of = await platform(desk, who.account_id)
    old, young = await platform_of.feed(first := item(who), second := item(who))
    past = first_id_of(SystemClock().now() - timedelta(hours=50))
    aged = (
        "UPDATE logins SET login_id = $2, created_at = created_at - interval '50 hours' WHERE login_id = $1::text::uuid"
    )
    await desk.pool.execute(aged, old["login_id"], past)
    assert (await platform_of("GET", f"/{first['reference']}")).status == 404
    due = {chore.name: chore for chore in chores(desk.app[HOUSE].settings, SystemClock())}
    await Housekeeping(desk.pool, []).batch(due["references"], 500)
    kept = "SELECT reference FROM logins WHERE login_id = $1"
    assert await desk.pool.fetchval(kept, past) is None
    assert await desk.pool.fetchval(kept, UUID(young["login_id"])) == second["reference"]
    (again,) = await platform_of.feed(first | {"authenticated_at": SystemClock().now().isoformat()})
    assert again["status"] == "signed_in"
    assert again["login_id"] != str(past)


async def _slowly(writer: Writer, given: list[dict[str, Any]]) -> None:
    for start in range(0, len(given), 40):
        await writer.feed(*given[start : start + 40])
        await asyncio.sleep(0.1)  # a feed that lasts while gateways come and go


async def _are_opened(desk: Desk, account: UUID, references: list[str], least: int) -> None:
    async def holds() -> bool:
        return bool(await desk.pool.fetchval(COUNT, account, references) >= least)

    await eventually(holds, 60)
