"""Lists, timelines and the live log of what became of messages."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import msgspec
import pytest
import pytest_asyncio
from prometheus_client import generate_latest
from yarl import URL

from deploy.local.postgres import OWNER
from deploy.local.stack import Stack
from services.delivery import deliveries
from services.delivery.deliveries import ListQuery
from services.delivery.house import House
from services.delivery.pauses import Pause
from services.delivery.postgres.health import PostgresVitals
from services.delivery.postgres.reading import IN_ORDER, PostgresReading, statement
from services.delivery.routes import reading as reading_routes
from services.delivery.states import State
from services.platform.clock import new_id
from tests.integration.delivery.conftest import SCOPES, Place, client
from tests.integration.delivery.house import listening, own_house
from tests.integration.delivery.world import Login, World, until

ROWS, WALK = 30_000, 2_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def failed(world: World) -> Login:
    """A login whose SMS was refused, and whose e-mail arrived."""
    login = Login()
    await world.faults(sms={str(login.phone): {"mode": "refuse"}})
    await world.open(login)
    await world.row(login, "sms", "failed")
    await world.row(login, "email", "sent")
    await world.faults()
    return login


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"state": "failed"}, {"sms"}),
        ({"state": "sent"}, {"email"}),
        ({"state": "expired"}, set()),
        ({"cause": "fallback"}, {"email"}),
        ({"cause": "login"}, {"sms"}),
        ({"country": "GB"}, {"sms"}),
        ({"country": "FR"}, set()),
        ({"channel": "email", "provider": "smtp"}, {"email"}),
        ({"provider": "twilio"}, {"sms"}),
        ({"since": "2026-01-01T00:00:00Z"}, {"sms", "email"}),
        ({"until": "2026-01-01T00:00:00Z"}, set()),
    ],
    ids=str,
)
@pytest.mark.parametrize("of", ["account", "user", "login_id"])
async def test_every_filter_narrows_a_list(
    world: World, failed: Login, of: str, asked: dict[str, str], found: set[str]
):
    whose = {"account": failed.account, "user": failed.user, "login_id": failed.login_id}
    page = await world.call("GET", "/v1/deliveries", params={of: str(whose[of])} | asked)
    assert ({row["channel"] for row in page["deliveries"]}, page["next"]) == (found, None)


@pytest.mark.parametrize(
    "asked", [{"cause": "x"}, {"user": "me"}, {"country": "great"}, {"state": "lost"}, {"who": "1"}]
)
async def test_a_filter_that_does_not_exist_is_named(world: World, asked: dict[str, str]):
    answer = await world.call("GET", "/v1/deliveries", 400, params=asked)
    assert answer["type"] == "urn:gatepost:bad-request"


async def test_a_timeline_has_every_attempt_with_what_the_vendor_said_and_the_time_since_the_login(
    world: World, failed: Login
):
    found = await world.timeline(failed)
    steps = [(s["what"], s["channel"], s.get("provider"), s.get("attempt")) for s in found["steps"]]
    assert steps[0] == ("queued", "sms", None, None)
    assert ("failed", "sms", "twilio", 1) in steps
    assert ("queued", "email", None, None) in steps
    assert ("sent", "email", "smtp", 1) in steps
    refused = next(s for s in found["steps"] if s["what"] == "failed")
    assert ":" in refused["reason"]
    after = [s["after_ms"] for s in found["steps"]]
    assert after == sorted(after)
    assert datetime.fromisoformat(found["begun_at"]) <= datetime.fromisoformat(found["steps"][0]["at"])


async def test_a_timeline_says_that_operators_hold_a_message_back(world: World):
    login = Login(email=None)
    where = {"account": str(login.account)}
    await world.call("POST", "/v1/deliveries/pause", json=where)
    try:
        await world.open(login)
        await world.row(login, "sms", "queued")
        assert [s.get("reason") for s in (await world.timeline(login))["steps"]] == ["paused"]
    finally:
        await world.call("POST", "/v1/deliveries/resume", json=where)
    await world.row(login, "sms", "delivered")
    whats = [s["what"] for s in (await world.timeline(login))["steps"]]
    assert whats == ["queued", "released", "sent", "delivered"]


async def test_a_timeline_says_who_waited_already_when_operators_paused(world: World):
    """It waits because its provider is asked to be left alone; then a pause, and its end, are steps of their own."""
    login = Login(email=None)
    where = {"account": str(login.account)}
    fault = {"mode": "rate_limit", "retry_after": 4, "times": 1}
    await world.faults(sms={str(login.phone): fault})
    await world.open(login)
    await until(lambda: told_of(world, login, "rate-limited"), 15, "the first try")
    await world.call("POST", "/v1/deliveries/pause", json=where)
    await world.call("POST", "/v1/deliveries/resume", json=where)
    await world.row(login, "sms", "delivered", seconds=30)
    await world.faults()
    steps = [s["what"] for s in (await world.timeline(login))["steps"]]
    assert [what for what in steps if what in ("held", "released")] == ["held", "released"]
    assert steps[-1] == "delivered"


async def told_of(world: World, login: Login, reason: str) -> bool | None:
    steps = (await world.timeline(login))["steps"]
    return any(reason in (step.get("reason") or "") for step in steps) or None


async def test_an_unknown_login_says_what_to_do(world: World):
    answer = await world.call("GET", f"/v1/timelines/{new_id()}", 404)
    assert "gatepost deliveries list" in answer["detail"]


@asynccontextmanager
async def streaming(
    world: World, last: str | None = None, **asked: str
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    headers = world.auth | ({"Last-Event-ID": last} if last else {})
    timeout = aiohttp.ClientTimeout(total=None, sock_read=20)
    url = f"{world.url}/v1/deliveries/stream"
    async with world.http.get(url, headers=headers, params=asked, timeout=timeout) as answer:
        assert answer.status == 200, await answer.text()
        assert (await answer.content.readline()).startswith(b": connected")
        yield _events(answer)


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    number = ""
    async for line in answer.content:
        if line.startswith(b"id: "):
            number = line[4:].decode().strip()
        elif line.startswith(b"data: "):
            yield json.loads(line[6:]) | {"event_id": number}


async def test_a_stream_goes_on_after_the_last_step_that_was_seen_and_tells_each_once(world: World):
    login = Login()
    asked = {"account": str(login.account)}
    async with streaming(world, **asked) as events:
        await world.open(login)
        first = await anext(events)
    await world.row(login, "sms", "delivered")
    other = await world.open(Login(account=login.account))
    seen: list[dict[str, Any]] = []
    async with streaming(world, last=first["event_id"], **asked) as events:
        while not seen or (seen[-1]["login_id"], seen[-1]["what"]) != (str(other.login_id), "delivered"):
            seen.append(await anext(events))
    whats = [(step["login_id"], step["what"], step.get("reason")) for step in [first, *seen]]
    assert whats[:3] == [(str(login.login_id), what, None) for what in ("queued", "sent", "delivered")]
    assert len(whats) == len(set(whats))
    numbers = [step["id"] for step in [first, *seen]]
    assert numbers == sorted(set(numbers))


async def test_a_stream_shows_what_it_was_asked_for(world: World):
    account = new_id()
    login, other = Login(account=account), Login(account=account)
    async with streaming(world, login_id=str(login.login_id), state="delivered", channel="sms") as events:
        await world.open(other)
        await world.row(other, "sms", "delivered")
        await world.open(login)
        step = await anext(events)
    assert (step["login_id"], step["what"]) == (str(login.login_id), "delivered")


async def test_a_client_of_an_account_follows_no_other_account(world: World, place: Place):
    own, foreign = new_id(), new_id()
    auth = await client(place, str(own), SCOPES)
    await world.call("GET", "/v1/deliveries/stream", 404, auth=auth, params={"account": str(foreign)})
    await world.call("GET", "/v1/deliveries/stream", 400, auth=auth, params={"state": "lost"})


async def test_health_counts_what_each_provider_did_and_what_an_sms_that_failed_cost(world: World, failed: Login):
    async def read() -> dict[str, Any] | None:
        health: dict[str, Any] = await world.call("GET", "/v1/deliveries/health")
        calls = {row["provider"]: row for row in health["recent"]["providers"]}
        told = calls.get("twilio", {"of_numbers": 0})["of_numbers"] >= 1 and "smtp" in calls
        return health if told else None

    health = await until(read, 10, "a reading that is fresh")
    assert health["recent"]["sms"] >= health["recent"]["fallbacks"] >= 1
    assert {row["name"]: row["breaker"] for row in health["providers"]}.items() >= {"smtp": "closed"}.items()
    assert abs(health["clock_ahead_ms"]) < 5000
    assert (health["migrations"], health["outbox"]["parked"]) == ([], 0)
    assert health["kafka"]["answered_seconds"] is not None


async def test_faults_of_numbers_stand_beside_those_of_a_provider_and_stops_of_the_guard_beside_both(stack: Stack):
    async with own_house(stack) as house:
        await _fill(house.pool, rows=1)
        for what, ms, reason, count in (
            ("sent", 5, None, 3),
            ("failed", 5, "not-a-mobile:21614", 2),
            ("undelivered", None, "unreachable:30003", 4),
            ("failed", 5, "account-suspended:20005", 2),
            ("undelivered", None, "filtered:30007", 1),
            ("unknown", None, "no-receipt", 1),
            ("failed", None, "guard-conversion", 3),
        ):
            await house.pool.execute(
                "INSERT INTO delivery_log (login_id, delivery_id, channel, cause, provider, what, ms, reason)"
                " SELECT l.login_id, gen_random_uuid(), 'sms', 'login', $1, $2, $3, $4 FROM logins l,"
                " generate_series(1, $5)",
                None if reason == "guard-conversion" else "twilio",
                what,
                ms,
                reason,
                count,
            )
        recent = (await PostgresVitals(house.pool).read()).recent
        (calls,) = recent.providers
        assert (calls.calls, calls.failed, calls.undelivered, calls.of_numbers) == (7, 2, 1, 6)
        assert (calls.reason, calls.no_receipt) == ("account-suspended:20005", 1)
        assert recent.guarded == {"guard-conversion": 3}


async def test_a_message_that_waits_is_seen_as_held_back_and_then_as_waiting(stack: Stack):
    async with own_house(stack) as house:
        first = await house.checkup.health()
        assert (first.waiting.due, first.waiting.held_back, first.waiting.oldest_seconds) == (0, 0, 0.0)
        vitals = PostgresVitals(house.pool)
        await _fill(house.pool, rows=20)
        await house.pool.execute(
            "UPDATE deliveries SET state = 'queued', due_at = now(), challenged_at = now() - interval '40 seconds',"
            " expires_at = now() + interval '1 minute'"
        )
        await house.controls.pause(Pause(account=A), "test")
        waiting = (await vitals.read()).waiting
        assert (waiting.due + waiting.held_back, 0 < waiting.held_back < 20) == (20, True)
        assert 40 <= waiting.oldest_seconds < 60
        found = await PostgresReading(house.pool).page(ListQuery(reason="paused"), None, 50)
        assert [row.reason for row in found.rows] == ["paused"] * waiting.held_back
        assert "gatepost_oldest_code_seconds" in generate_latest().decode()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def full(stack: Stack) -> AsyncIterator[House]:
    """A ledger of some size, with nobody who sends."""
    async with own_house(stack) as house:
        await _fill(house.pool)
        yield house


async def _fill(pool: "asyncpg.Pool[asyncpg.Record]", rows: int = ROWS) -> None:
    await pool.execute(
        "INSERT INTO logins (login_id, account_id, user_id, expires_at)"
        " SELECT md5('l' || n)::uuid, md5('a' || n % 3)::uuid, md5('u' || n % 1000)::uuid, now()"
        " FROM generate_series(1, $1) n",
        rows,
    )
    await pool.execute(
        "INSERT INTO deliveries (id, login_id, channel, cause, account_id, user_id, state, reason, provider, sealed,"
        " sealed_event, sealed_cause, masked, country, code_key_id, digits, begun_at, challenged_at, expires_at,"
        " created_at) SELECT md5('d' || n)::uuid, md5('l' || n)::uuid, 'sms', 'login', md5('a' || n % 3)::uuid,"
        " md5('u' || n % 1000)::uuid, CASE WHEN n % 5000 = 7 THEN 'failed' ELSE 'delivered' END,"
        " CASE WHEN n % 5000 = 7 THEN 'unreachable:30003' END, CASE WHEN n = 5 THEN 'vonage' ELSE 'twilio' END, '',"
        " 'LoginChallenged', 'login', '', CASE WHEN n = 5 THEN 'FJ' ELSE 'GB' END, 1, 6, now(), now(), now(),"
        " now() - make_interval(secs => $1 - n) FROM generate_series(1, $1) n",
        rows,
    )


A, U, L = (str(UUID(hashlib.md5(name, usedforsecurity=False).hexdigest())) for name in (b"a1", b"u7", b"l7"))
EVERY_FILTER = [
    {},
    {"account": A},
    {"user": U},
    {"login_id": L},
    {"state": "failed"},
    {"state": "delivered"},
    {"state": "queued"},
    {"reason": "unreachable"},
    {"reason": "nothing-like-it"},
    {"provider": "vonage"},
    {"channel": "email"},
    {"country": "FJ"},
    {"cause": "replay"},
    {"email_off": "true"},
    {"account": A, "email_off": "true"},
    {"since": "2026-01-01T00:00:00Z", "until": "2026-06-01T00:00:00Z"},
    {"account": A, "state": "failed", "provider": "vonage"},
    {"user": U, "state": "expired"},
    {"provider": "-", "reason": "-"},
    {"replay": "r"},
    {"replay": "*:r", "state": "failed"},
    {"unreached": "true"},
    {"unreached": "true", "account": A, "state": "failed"},
]


@pytest.mark.parametrize("asked", EVERY_FILTER, ids=str)
async def test_no_filter_makes_a_page_read_the_table(full: House, asked: dict[str, Any]):
    """By the plan, run on a real table: no sequential scan of it, and rows of one walk at most."""
    made = statement(msgspec.convert(asked, ListQuery, strict=False), WALK)
    wanted = msgspec.convert(asked, ListQuery, strict=False)
    values = (None, None, wanted.since, wanted.until, 51, *made.others, *made.led_by)
    async with full.pool.acquire() as connection, connection.transaction():
        await connection.execute(f"ANALYZE deliveries; {IN_ORDER}")
        (plan,) = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {made.page}", *values)
    looks = [node for node in nodes(plan["Plan"]) if node.get("Relation Name") == "deliveries"]
    assert looks
    for node in looks:
        assert node["Node Type"] == "Index Scan", node
        assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= WALK, node


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for under in plan.get("Plans", []) for node in nodes(under))]


@pytest.mark.parametrize(
    ("asked", "count"),
    [({"country": "FJ"}, 1), ({"state": "failed"}, 6), ({"cause": "replay"}, 0), ({"unreached": "true"}, 6)],
)
async def test_pages_that_are_short_lead_to_everything_that_matches(full: House, asked: dict[str, Any], count: int):
    reading = PostgresReading(full.pool, WALK)
    wanted, pages = msgspec.convert(asked, ListQuery, strict=False), 0
    found: list[deliveries.Delivery] = []
    while True:
        page = await deliveries.page(reading, wanted)
        found += page.deliveries
        pages += 1
        if page.next is None:
            break
        wanted = msgspec.structs.replace(wanted, cursor=page.next)
    assert len(found) == len({row.delivery_id for row in found}) == count
    assert pages <= ROWS // WALK + 1
    if asked.get("state") == State.FAILED or "unreached" in asked:
        assert pages == 1


async def test_a_list_of_everything_is_paged_without_a_gap(full: House):
    reading, wanted, seen = PostgresReading(full.pool, WALK), ListQuery(limit=200), 0
    last = datetime.max.replace(tzinfo=UTC)
    for _ in range(20):
        page = await deliveries.page(reading, wanted)
        for row in page.deliveries:
            assert row.created_at < last
            last, seen = row.created_at, seen + 1
        assert page.next
        wanted = msgspec.structs.replace(wanted, cursor=page.next)
        await asyncio.sleep(0)
    assert seen == 4000


MANY = 60_000
FLOOD = """
INSERT INTO delivery_log (login_id, account_id, what, channel, cause, provider, reason)
SELECT gen_random_uuid(), $1, 'sent', 'sms', 'login', 'twilio', repeat('x', 60) FROM generate_series(1, $2)
"""


async def test_who_does_not_read_is_dropped_and_goes_on_without_a_gap(world: World, stack: Stack):
    account = new_id()
    reader, writer = await raw_stream(world, account)
    await by_owner(stack, FLOOD, account, MANY)
    log = stack.folder / "logs" / "delivery.log"
    await until(lambda: said(log, "stream_reader_too_slow", "stream_reader_stuck"), 40, "the reader is dropped")
    numbers = [int(line[4:]) for line in await rest(reader) if line.startswith("id: ")]
    writer.close()
    assert len(numbers) < MANY
    async with streaming(world, last=str(numbers[-1]), account=str(account)) as events:
        numbers += [(await anext(events))["id"] for _ in range(MANY - len(numbers))]
    await by_owner(stack, "DELETE FROM delivery_log WHERE account_id = $1", account)
    assert numbers == sorted(set(numbers))
    assert len(numbers) == MANY


async def test_a_stream_ends_soon_after_its_credential(
    stack: Stack, place: Place, world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reading_routes, "CHECK_SECONDS", 0.5)
    async with own_house(stack) as house:
        dsn = house.settings.database.get_secret_value()
        auth = await client(replace(place, dsn=dsn), "*", ["deliveries:read"])
        house.serving = await listening(house)
        url = f"http://127.0.0.1:{house.serving.port}/v1/deliveries/stream"
        async with world.http.get(url, headers=auth) as answer:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_ends(answer), 4)
            await house.pool.execute("UPDATE clients SET enabled = false")
            await asyncio.wait_for(_ends(answer), 5)


async def _ends(answer: aiohttp.ClientResponse) -> None:
    while await answer.content.readany():
        pass


async def by_owner(stack: Stack, statement: str, *values: Any) -> None:
    connection = await asyncpg.connect(stack.dsn("delivery", OWNER))
    await connection.execute(statement, *values)
    await connection.close()


async def raw_stream(world: World, account: UUID) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that reads nothing but what its small buffers take."""
    url = URL(world.url)
    handle = socket.socket()
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    handle.setblocking(False)
    await asyncio.get_running_loop().sock_connect(handle, (url.host, url.port))
    reader, writer = await asyncio.open_connection(sock=handle, limit=8192)
    told = {"Host": "x", "Connection": "close", **world.auth}
    lines = [f"GET /v1/deliveries/stream?account={account} HTTP/1.1", *(f"{name}: {v}" for name, v in told.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return reader, writer


async def said(log: Path, *events: str) -> bool | None:
    text = await asyncio.to_thread(log.read_text)
    return any(event in text for event in events) or None


async def rest(reader: asyncio.StreamReader) -> list[str]:
    """Whole lines up to the end, whatever way the connection ended."""
    seen = bytearray()
    with suppress(ConnectionError):
        while data := await asyncio.wait_for(reader.read(65536), 20):
            seen += data
    whole = bytes(seen).decode(errors="replace").rpartition("\n\n")[0]
    return whole.splitlines()
