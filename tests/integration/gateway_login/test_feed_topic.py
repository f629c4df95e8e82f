"""Logins by the topic `logins`: opened once each, whatever happens; refused with a reason, or a dead letter."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from schemas import topics
from schemas.events import LoginChallenged, LoginRefused, Verified
from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.clients import EditClient, NewClient
from services.login_gateway.postgres import clients
from services.login_gateway.postgres.clearing import clear_account
from services.login_gateway.who import COMMAND_LINE
from services.platform.auth import EVERY
from services.platform.cli import basic
from services.platform.clock import new_id
from services.platform.kafka import Connection, Producer, follower
from tests.batches import GZIP, LZ4, SNAPPY, ZSTD, NoUtf8, Raw, put
from tests.feeding import Writer, items, producing, record, signature
from tests.integration.gateway_login.test_feed_calls import Platform, item
from tests.integration.gateway_login.world import Desk, Member, Place, eventually

OF = "SELECT login_id, user_id, state FROM logins WHERE account_id = $1 AND reference = $2"
COUNT = "SELECT count(*) FROM logins WHERE account_id = $1 AND reference = ANY($2::text[])"
SPENT = """
INSERT INTO feed_budgets VALUES ($1, now() + make_interval(secs => $2))
ON CONFLICT (account_id) DO UPDATE SET spent_until = excluded.spent_until
"""
PLAIN_USERS = """
INSERT INTO users (user_id, account_id, username, username_key)
SELECT gen_random_uuid(), $1, 'p' || n, 'p' || n FROM generate_series(1, $2) n RETURNING user_id
"""
AN_HOUR = timedelta(hours=1)


@dataclass
class Letters:
    """Headers of the dead letters of the topic `logins`, by the record's key."""

    reasons: dict[bytes, list[str]]

    async def of(self, key: str) -> str:
        found = await eventually(lambda: _now(self.reasons.get(key.encode())), 30)
        return str(found[0])


async def _now(value: Any) -> Any:
    return value


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def letters(place: Place) -> AsyncIterator[Letters]:
    consumer = follower(Connection(place.kafka), "gatepost-test-letters")
    await consumer.start()
    topic = topics.DEAD_LETTERS
    places = [TopicPartition(topic.name, n) for n in range(topic.partitions)]
    consumer.assign(places)
    await consumer.seek_to_end(*places)
    for one in places:
        await consumer.position(one)
    found = Letters({})
    task = asyncio.create_task(_read(consumer, found))
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await consumer.stop()


async def _read(consumer: Any, found: Letters) -> None:
    async for letter in consumer:
        headers = dict(letter.headers)
        if headers["topic"] == b"logins":
            found.reasons.setdefault(letter.key, []).append(headers["reason"].decode())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def producer(place: Place) -> AsyncIterator[Producer]:
    async with producing(place.kafka) as made:
        yield made


Make = Callable[..., Awaitable[Writer]]


@pytest.fixture
def platform(desk: Desk, producer: Producer) -> Make:
    async def make(account: object, *scopes: Any) -> Writer:
        new = NewClient({*scopes} or {"feed"})
        made = await clients.create(desk.app[ADMINISTRATION], COMMAND_LINE, new, str(account))
        return Writer(producer, account, made.client_id, str(made.client_secret))

    return make


def by_http(desk: Desk, writer: Writer) -> Platform:
    return Platform(desk, basic(f"{writer.client_id}:{writer.secret}"))


async def opened(desk: Desk, account: object, reference: str, seconds: float = 30) -> Any:
    return await eventually(lambda: desk.pool.fetchrow(OF, account, reference), seconds)


async def refused(desk: Desk, writer: Writer, reference: str) -> str:
    event = await desk.heard.one(LoginRefused, 30, reference=reference)
    assert event.account_id == str(writer.account)
    return str(event.reason)


async def test_a_login_of_the_topic_is_verified_by_its_reference(desk: Desk, platform: Make) -> None:
    who = await desk.member()
    writer, given = await platform(who.account_id), item(who)
    await writer.feed(given)
    row = await opened(desk, who.account_id, given["reference"])
    code = await desk.heard.code({"login_id": str(row["login_id"])})
    done = await by_http(desk, writer)("POST", f"/{given['reference']}/verify", {"code": code})
    assert (done.status, done.data["acr"]) == (200, "urn:gatepost:acr:fed+sms")
    assert (await desk.heard.one(Verified, reference=given["reference"])).login_id == str(row["login_id"])


async def test_a_user_without_a_second_factor_is_signed_in_and_the_token_is_fetched_by_http(
    desk: Desk, platform: Make
) -> None:
    who = await desk.member(sms=False)
    writer, given = await platform(who.account_id), item(who)
    await writer.feed(given)
    verified = await desk.heard.one(Verified, 30, reference=given["reference"])
    (again,) = await by_http(desk, writer).feed(given)
    assert (again["status"], again["login_id"]) == ("signed_in", verified.login_id)
    assert again["token"].startswith("gp_")
    assert len(desk.heard.all(Verified, reference=given["reference"])) == 1


async def test_a_reference_that_comes_by_both_roads_at_once_and_again_and_again_is_opened_once(
    desk: Desk, place: Place, platform: Make
) -> None:
    one = await desk.member(sms=False)
    writer = await platform(one.account_id)
    people = [row["user_id"] for row in await desk.pool.fetch(PLAIN_USERS, one.account_id, 120)]
    given = items(people, secrets.token_hex(6))
    feed = by_http(desk, writer)
    *_, answers = await asyncio.gather(
        writer.feed(*given), writer.feed(*given), feed.feed(*given[:60]), feed.feed(*reversed(given))
    )
    assert Counter(each["status"] for each in answers) == {"signed_in": len(given)}
    await all_read(desk, place)
    references = [each["reference"] for each in given]
    assert await desk.pool.fetchval(COUNT, one.account_id, references) == len(given)
    for reference in references:
        await desk.heard.one(Verified, reference=reference)
        assert len({event.id for event in desk.heard.all(Verified, reference=reference)}) == 1
    assert not [event for event in desk.heard.all(LoginRefused) if event.reference in references]


async def all_read(desk: Desk, place: Place) -> None:
    """Until every partition was read to its end, as Postgres has it."""
    consumer = follower(Connection(place.kafka), "gatepost-test-ends")
    await consumer.start()
    try:
        places = [TopicPartition("logins", n) for n in range(topics.LOGINS.partitions)]
        ends = {place.partition: end for place, end in (await consumer.end_offsets(places)).items() if end > 0}
    finally:
        await consumer.stop()

    async def holds() -> bool:
        rows = await desk.pool.fetch("SELECT partition, max(next_offset) AS next FROM feed_offsets GROUP BY partition")
        at = {row["partition"]: row["next"] for row in rows}
        return all(at.get(partition, 0) >= end for partition, end in ends.items())

    await eventually(holds, 60)


async def _disabled(desk: Desk, who: Member) -> None:
    await desk.pool.execute("UPDATE users SET disabled = true WHERE user_id = $1", who.user_id)


async def _suspended(desk: Desk, who: Member) -> None:
    await desk.pool.execute("UPDATE accounts SET state = 'suspended' WHERE account_id = $1", who.account_id)


async def _admin_without_factor(desk: Desk, who: Member) -> None:
    await desk.pool.execute("UPDATE users SET role = 'admin', sms_on = false WHERE user_id = $1", who.user_id)


async def _cleared(desk: Desk, who: Member) -> None:
    await clear_account(desk.app[ADMINISTRATION], COMMAND_LINE, str(who.account_id), who.account)


async def _locked(desk: Desk, who: Member) -> None:
    await desk.pool.execute("UPDATE user_guard SET locked_at = now() WHERE user_id = $1", who.user_id)


async def _over_budget(desk: Desk, who: Member) -> None:
    await desk.pool.execute(SPENT, who.account_id, 3600)


async def _nothing(desk: Desk, who: Member) -> None:
    """The record itself is what is refused."""


def _late(**delta: float) -> Callable[[Any], Any]:
    return lambda who: item(who, authenticated_at=(datetime.now(UTC) - timedelta(**delta)).isoformat())


REFUSED: dict[str, tuple[Callable[[Desk, Member], Awaitable[None]], Callable[[Any], Any]]] = {
    "unknown-user": (_nothing, lambda who: item(who, user={"user_id": str(new_id())})),
    "unknown-user of another account": (_nothing, lambda who: item(who, user={"external_id": "somebody-else"})),
    "unknown-user disabled": (_disabled, item),
    "account-suspended": (_suspended, item),
    "foreign-account": (_nothing, lambda who: item(who, account_id=str(new_id()))),
    "second-factor-required": (_admin_without_factor, item),
    "one-of-user-id-and-external-id": (
        _nothing,
        lambda who: item(who, user={"user_id": str(who.user_id), "external_id": "e"}),
    ),
    "bad-context": (_nothing, lambda who: item(who, context={"origin": "a\x00b"})),
    "authenticated-in-the-future": (_nothing, _late(seconds=-60)),
    "too-old": (_nothing, _late(seconds=301)),
    "sessions-expired": (_cleared, _late(seconds=2)),
    "too-many-attempts": (_locked, item),
    "over-budget": (_over_budget, item),
}


@pytest.mark.parametrize(("before", "make"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_opened_is_refused_with_its_reason(
    desk: Desk,
    platform: Make,
    request: pytest.FixtureRequest,
    before: Callable[[Desk, Member], Awaitable[None]],
    make: Callable[[Any], Any],
) -> None:
    who = await desk.member()
    writer = await platform(who.account_id)
    given = make(who)
    await before(desk, who)
    await writer.feed(given)
    assert await refused(desk, writer, given["reference"]) == request.node.callspec.id.split(" ")[0]
    assert await desk.pool.fetchval(COUNT, who.account_id, [given["reference"]]) == 0


async def test_a_stopped_feed_is_told_so(desk: Desk, platform: Make) -> None:
    who = await desk.member()
    writer, given = await platform(who.account_id), item(who)
    await desk.pool.execute("INSERT INTO feed_stops (client_id) VALUES ($1)", writer.client_id)
    await writer.feed(given)
    assert await refused(desk, writer, given["reference"]) == "feed-stopped"


async def test_of_two_records_with_one_reference_the_first_is_opened(desk: Desk, platform: Make) -> None:
    one = await desk.member(sms=False)
    writer = await platform(one.account_id)
    people = [row["user_id"] for row in await desk.pool.fetch(PLAIN_USERS, one.account_id, 80)]
    first, second = items(people[:40], tag := secrets.token_hex(6)), items(people[40:], tag)
    await writer.feed(*first)
    await writer.feed(*second)
    for mine, other in zip(first, second, strict=True):
        assert mine["reference"] == other["reference"]
        assert await refused(desk, writer, other["reference"]) == "reference-reused"
        row = await opened(desk, one.account_id, mine["reference"])
        assert str(row["user_id"]) == mine["user"]["user_id"]


@dataclass
class Stranger:
    """What makes of a good record one that nobody vouches for."""

    reason: str
    act: Callable[[Desk, Writer, dict[str, Any]], Awaitable[None]]


async def _unsigned(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    await writer.raw(event["reference"].encode(), b'{"type": "LoginFed"}', None)


async def _without_a_value(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    await writer.under(event["reference"].encode(), msgspec.json.encode(event), [("gatepost-signature", None)])


async def _signed_at_length(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    await writer.raw(event["reference"].encode(), msgspec.json.encode(event), b"x" * 70_000)


async def _by_another_secret(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    await writer._replace(secret="x" * 43).put(event)


async def _changed_on_its_way(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    other = msgspec.json.encode(event | {"user": {"user_id": str(new_id())}})
    signed = signature(writer.client_id, writer.secret, other)
    await writer.raw(event["reference"].encode(), msgspec.json.encode(event), signed)


async def _rotated(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    await clients.change(desk.app[ADMINISTRATION], COMMAND_LINE, writer.client_id, EditClient(rotate_secret=True))
    await writer.put(event)


async def _disabled_client(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    await clients.change(desk.app[ADMINISTRATION], COMMAND_LINE, writer.client_id, EditClient(enabled=False))
    await writer.put(event)


async def _without_scope(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    await clients.change(desk.app[ADMINISTRATION], COMMAND_LINE, writer.client_id, EditClient(scopes={"introspect"}))
    await writer.put(event)


async def _of_every_account(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    made = await clients.create(desk.app[ADMINISTRATION], COMMAND_LINE, NewClient({"feed"}), EVERY)
    await writer._replace(client_id=made.client_id, secret=str(made.client_secret)).put(event)


async def _nobody(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    await writer._replace(client_id="cl_0000000000000000").put(event)


async def _no_login(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    await writer.put({**event, "type": "LoginClosed", "reason": "expired"})


async def _no_time(desk: Desk, writer: Writer, event: dict[str, Any]) -> None:
    await writer.put({**event, "authenticated_at": "yesterday"})


STRANGERS = {
    "unsigned": Stranger("unsigned", _unsigned),
    "with a signature of no value": Stranger("unsigned", _without_a_value),
    "with a signature beyond all length": Stranger("unsigned", _signed_at_length),
    "by another secret": Stranger("bad-signature", _by_another_secret),
    "changed on its way": Stranger("bad-signature", _changed_on_its_way),
    "by a secret that was replaced": Stranger("bad-signature", _rotated),
    "by a disabled client": Stranger("may-not-feed", _disabled_client),
    "by a client without the scope": Stranger("may-not-feed", _without_scope),
    "by a client of all accounts": Stranger("may-not-feed", _of_every_account),
    "by nobody": Stranger("may-not-feed", _nobody),
    "another event": Stranger("wrong-topic", _no_login),
    "no time": Stranger("invalid", _no_time),
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
async def test_a_record_that_nobody_vouches_for_is_a_dead_letter_and_has_no_effect(
    desk: Desk, platform: Make, letters: Letters, stranger: Stranger
) -> None:
    who = await desk.member()
    writer, given = await platform(who.account_id), item(who)
    await stranger.act(desk, writer, record(who.account_id, given))
    assert await letters.of(given["reference"]) == stranger.reason
    assert await desk.pool.fetchval(COUNT, who.account_id, [given["reference"]]) == 0
    assert not desk.heard.all(LoginRefused, reference=given["reference"])


@pytest.mark.parametrize("reference", ["ada@example.com", "+44 20 7946 0958", "r\n1"])
async def test_a_reference_that_may_be_a_contact_goes_no_further(
    desk: Desk, platform: Make, letters: Letters, reference: str
) -> None:
    who = await desk.member()
    writer = await platform(who.account_id)
    own = reference.replace("ada", secrets.token_hex(4)) if "@" in reference else reference
    await writer.feed(item(who, reference=own))
    assert await letters.of(own) == "bad-reference"
    assert not desk.heard.all(LoginRefused, reference=own)


async def test_a_record_under_another_key_is_a_dead_letter(desk: Desk, platform: Make, letters: Letters) -> None:
    """Its key decides its order."""
    who = await desk.member()
    writer, given = await platform(who.account_id), item(who)
    key = secrets.token_hex(8)
    await writer.put(record(who.account_id, given), key)
    assert await letters.of(key) == "wrong-key"


async def test_what_the_database_cannot_store_holds_up_nobody(desk: Desk, platform: Make, letters: Letters) -> None:
    who, plain = await desk.member(), await desk.member(sms=False)
    writer, other = await platform(who.account_id), await platform(plain.account_id)
    await desk.pool.execute(SPENT, who.account_id, 70)
    poison, good = item(who, user={"external_id": "a\x00b"}), [item(plain) for _ in range(30)]
    await asyncio.gather(writer.feed(poison), other.feed(*good))
    assert await letters.of(poison["reference"]) == "not-storable"
    for each in good:
        await opened(desk, plain.account_id, each["reference"])


async def test_who_is_over_budget_waits_and_nobody_else_does(desk: Desk, platform: Make) -> None:
    busy, other = await desk.member(sms=False), await desk.member(sms=False)
    loud, quiet = await platform(busy.account_id), await platform(other.account_id)
    await desk.pool.execute(SPENT, busy.account_id, 64)
    given, mine = [item(busy) for _ in range(40)], [item(other) for _ in range(40)]
    await loud.feed(*given)
    await quiet.feed(*mine)
    for each in mine:
        await opened(desk, other.account_id, each["reference"])
    waiting = "SELECT count(*) FROM feed_waiting WHERE account_id = $1"
    assert await desk.pool.fetchval(waiting, busy.account_id) == len(given)
    rows = [await opened(desk, busy.account_id, each["reference"]) for each in given]
    assert {row["state"] for row in rows} == {"verified"}
    assert await desk.pool.fetchval(waiting, busy.account_id) == 0


async def test_a_login_fed_before_clear_all_and_read_after_it_is_refused(desk: Desk, platform: Make) -> None:
    """It waits for its account's budget while somebody clears all sessions."""
    who = await desk.member(sms=False)
    writer, given = await platform(who.account_id), item(who)
    await desk.pool.execute(SPENT, who.account_id, 64)
    await writer.feed(given)
    waits = "SELECT true FROM feed_waiting WHERE account_id = $1"
    await eventually(lambda: desk.pool.fetchval(waits, who.account_id), 30)
    await _cleared(desk, who)
    assert await refused(desk, writer, given["reference"]) == "sessions-expired"
    assert await desk.pool.fetchval(COUNT, who.account_id, [given["reference"]]) == 0


@asynccontextmanager
async def held(place: Place, user_id: UUID) -> AsyncIterator[None]:
    """Somebody edits that user, and takes their time."""
    connection = await asyncpg.connect(place.dsn)
    try:
        async with connection.transaction():
            await connection.fetchrow("SELECT FROM users WHERE user_id = $1 FOR UPDATE", user_id)
            yield
    finally:
        await connection.close()


async def test_a_user_whom_somebody_holds_keeps_nobody_else_waiting(desk: Desk, place: Place, platform: Make) -> None:
    """Neither other fed logins nor those who sign in themselves, and the feed goes on when the user is let go."""
    stuck, free, person = await desk.member(), await desk.member(sms=False), await desk.member()
    writer, other = await platform(stuck.account_id), await platform(free.account_id)
    first = item(stuck)
    async with held(place, stuck.user_id):
        await writer.feed(first)
        behind = [item(free) for _ in range(60)]
        await other.feed(*behind)
        references = [each["reference"] for each in behind]

        async def others_go_on() -> bool:
            """All but those behind it in its partition."""
            return bool(await desk.pool.fetchval(COUNT, free.account_id, references) >= len(behind) // 2)

        await eventually(others_go_on, 30)
        assert (await desk.sign_in(person)).status == 202
        assert await desk.pool.fetchval(COUNT, stuck.account_id, [first["reference"]]) == 0
    await opened(desk, stuck.account_id, first["reference"])
    for each in behind:
        await opened(desk, free.account_id, each["reference"])
    assert len(desk.heard.all(LoginChallenged, reference=first["reference"])) <= 1


async def many(desk: Desk, account: UUID, number: int) -> list[UUID]:
    return [row["user_id"] for row in await desk.pool.fetch(PLAIN_USERS, account, number)]


PARTITIONS = list(range(topics.LOGINS.partitions))
ZEROS = bytes(8 * 1024 * 1024)
UNREADABLE: dict[str, tuple[Raw, int]] = {
    "a header's name that is no UTF-8": (Raw(b"k", b"{}", [(NoUtf8("x"), b"1")]), 0),
    "megabytes in eight thousand bytes": (Raw(b"k", ZEROS), GZIP),
    "megabytes in a few hundred bytes": (Raw(b"k", ZEROS), ZSTD),
}


def packed(writer: Writer, given: dict[str, Any]) -> Raw:
    value = msgspec.json.encode(record(writer.account, given))
    signed = signature(writer.client_id, writer.secret, value)
    return Raw(given["reference"].encode(), value, [("gatepost-signature", signed)])


def partition_of(given: dict[str, Any]) -> int:
    found: int = DefaultPartitioner()(given["reference"].encode(), PARTITIONS, PARTITIONS)
    return found


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD], ids=["gzip", "snappy", "lz4", "zstd"])
async def test_records_may_be_packed_by_any_codec_of_kafkas(
    desk: Desk, place: Place, platform: Make, codec: int
) -> None:
    who = await desk.member(sms=False)
    writer, given = await platform(who.account_id), [item(who) for _ in range(20)]
    await put(place.kafka, "logins", 0, *(packed(writer, each) for each in given), codec=codec)
    for each in given:
        await opened(desk, who.account_id, each["reference"])


@pytest.mark.parametrize("bad", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_nobody_can_read_holds_up_nobody(
    desk: Desk, place: Place, platform: Make, letters: Letters, bad: tuple[Raw, int]
) -> None:
    """A login behind it in its partition is opened; an empty dead letter stands for the batch."""
    who = await desk.member(sms=False)
    writer, given = await platform(who.account_id), item(who)
    letters.reasons.pop(b"", None)
    raw, codec = bad
    await put(place.kafka, "logins", partition_of(given), raw, raw, codec=codec)
    await writer.feed(given)
    await opened(desk, who.account_id, given["reference"])
    assert await letters.of("") == "unsigned"


async def test_what_a_platform_took_back_is_not_opened(desk: Desk, place: Place, platform: Make) -> None:
    """It gave up its transaction; what it writes behind it counts."""
    who = await desk.member(sms=False)
    writer, given = await platform(who.account_id), item(who)
    taken_back = item(who)
    raw = packed(writer, taken_back)
    name = f"test-{secrets.token_hex(6)}"
    async with AIOKafkaProducer(bootstrap_servers=place.kafka, transactional_id=name) as producer:
        await producer.begin_transaction()
        where = {"key": raw.key, "headers": list(raw.headers), "partition": partition_of(given)}
        await producer.send_and_wait("logins", raw.value, **where)
        await producer.abort_transaction()
    await writer.feed(given)
    await opened(desk, who.account_id, given["reference"])
    assert await desk.pool.fetchval(COUNT, who.account_id, [taken_back["reference"]]) == 0
