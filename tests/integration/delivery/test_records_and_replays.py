"""Records that nobody can use, replays, and the operators' calls."""

import asyncio
import json
import os
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas import codec, topics
from schemas.events import Context
from services.platform.clock import new_id
from tests.batches import ZSTD, NoUtf8, Raw, put
from tests.integration.delivery.conftest import SCOPES, Place, client
from tests.integration.delivery.world import Login, World, until

CHALLENGES = topics.LOGIN_CHALLENGES.name
POISON = [
    ("empty", b""),
    ("not-json", b"{not json"),
    ("not-json", b"\xff" + os.urandom(2000)),  # a first byte like "[" would make it JSON of another kind
    ("unknown-type", b'{"type": "Nonsense", "id": "1", "source": "x", "account_id": "a"}'),
    ("invalid", b'{"type": "LoginChallenged", "id": "1", "source": "x"}'),
    ("not-json", b"x" * 1_000_000),
]


@pytest.mark.parametrize(("reason", "value"), POISON)
async def test_poison_becomes_a_dead_letter_and_stops_nobody(world: World, reason: str, value: bytes):
    start = datetime.now(UTC)
    await world.publish_raw(CHALLENGES, value)
    await world.letter(reason, start, CHALLENGES)
    login = await world.open(Login())
    await world.message(login.phone)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expires_at", "2026-11-24T09:30:00"),
        ("issued_at", "0001-01-01T00:00:00+14:00"),
        ("account_epoch", 2**63),
        ("user_epoch", -1),
        ("code_key_id", 70_000),
        ("digits", 40),
        ("cause", "c" * 10_000),
        ("sealed", "A" * 100_000),
    ],
)
async def test_a_challenge_beyond_its_bounds_is_a_dead_letter_and_sends_nothing(world: World, field: str, value: Any):
    start, login = datetime.now(UTC), Login()
    event = json.loads(codec.encode(world.challenge(login))) | {field: value}
    await world.publish_raw(CHALLENGES, json.dumps(event).encode())
    await world.letter("invalid", start, CHALLENGES)
    assert (await world.timeline(login))["deliveries"] == []
    await world.message((await world.open(Login(email=None))).phone)
    assert await world.messages(login.phone) == []


async def test_a_value_that_postgres_refuses_is_a_dead_letter_and_its_neighbours_are_kept(world: World):
    start = datetime.now(UTC)
    login = Login()
    bad = msgspec.structs.replace(world.challenge(Login(user=login.user)), context=Context(origin="\x00"))
    good = world.challenge(login)
    await asyncio.gather(world.publish(bad), world.publish(good))
    await world.letter("not-storable", start, CHALLENGES)
    await world.message(login.phone)


@pytest.mark.parametrize(
    ("bad", "packed"),
    [(Raw(b"k", b"{}", [(NoUtf8("x"), b"1")]), 0), (Raw(b"k", bytes(8 * 1024 * 1024)), ZSTD)],
    ids=["a name that is no UTF-8", "much in little"],
)
async def test_a_batch_that_nobody_can_read_holds_up_no_code(world: World, place: Place, bad: Raw, packed: int):
    start, login, numbers = datetime.now(UTC), Login(), list(range(topics.LOGIN_CHALLENGES.partitions))
    partition = DefaultPartitioner()(str(login.user).encode(), numbers, numbers)
    await put(place.kafka, CHALLENGES, partition, bad, bad, codec=packed)
    await world.open(login)
    await world.message(login.phone)
    await world.letter("empty", start, CHALLENGES)


async def test_a_made_up_challenge_is_a_dead_letter(world: World):
    login = Login()
    event = world.challenge(login, sealed="AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    await world.publish(event)
    await world.letter("seal-broken", event.time, CHALLENGES)


async def test_an_unsigned_verified_cancels_nothing(world: World):
    start = datetime.now(UTC)
    login = Login()
    await world.publish(world.verified(login), signed=False)
    await world.letter("bad-signature", start, "session-events")
    await world.open(login)
    await world.message(login.phone)


@pytest.mark.parametrize("signature", [None, b"x" * 70_000], ids=["no value", "beyond all length"])
async def test_a_signature_of_any_size_makes_a_dead_letter(world: World, signature: Any):
    start, event = datetime.now(UTC), world.verified(Login())
    headers = [(topics.SIGNATURE_HEADER, signature)]
    await world.producer.send("session-events", topics.key_of(event), codec.encode(event), headers)
    await world.letter("bad-signature", start, "session-events")


async def test_a_floor_far_ahead_is_a_dead_letter(world: World):
    start = datetime.now(UTC)
    await world.publish(world.expire_all(Login(), floor=9_999_999_999_999))
    await world.letter("floor-ahead", start, "session-events")


@pytest.mark.parametrize(
    "change",
    [{"offset": b"9" * 30}, {"topic": b"a\x00b"}, {"partition": b"-1"}, {"reason": b"\xff"}, {"service": None}],
    ids=str,
)
async def test_a_forged_dead_letter_stops_nobody(world: World, change: dict[str, Any]):
    start, login = datetime.now(UTC), Login()
    told = {"topic": b"logins", "partition": b"0", "offset": b"1", "reason": b"forged", "service": b"me"} | change
    await world.producer.send("dead-letters", b"k", b"sealed", list(told.items()))
    await world.publish_raw(CHALLENGES, b"poison after the forgery")
    await world.letter("not-json", start, CHALLENGES)
    await world.open(login)
    await world.message(login.phone)


async def test_a_dead_letter_is_sealed_and_can_be_taken_again(world: World):
    start = datetime.now(UTC)
    login = Login()
    event = world.challenge(login)
    await world.publish_raw(CHALLENGES, codec.encode(event).replace(b'"digits":6', b'"digits":77'))
    letter = await world.letter("invalid", start, CHALLENGES)
    assert str(login.login_id) not in str(letter)
    done = await world.call("POST", f"/v1/dead-letters/{letter['id']}/replay", 202)
    assert (done["taken"], done["still_bad"]) == (False, True)
    await world.call("POST", f"/v1/dead-letters/{new_id()}/replay", 404)


async def test_a_replay_counts_first_then_sends_again_and_never_twice(world: World):
    login = Login(email=None)
    await world.faults(sms={str(login.phone): {"mode": "refuse"}})
    await world.open(login)
    await world.row(login, "sms", "failed")
    await world.faults()
    asked = {"account": str(login.account), "replay_id": f"r-{new_id()}"}
    dry = await world.call("POST", "/v1/replays", json=asked | {"dry_run": True})
    assert (dry["matched"], dry["counts"]) == (1, {"replayed": 1})
    assert await world.messages(login.phone) == []
    done = await world.call("POST", "/v1/replays", 202, json=asked)
    assert done["counts"] == {"replayed": 1}
    assert (await world.message(login.phone)).endswith(world.code(login, "sms"))
    again = await world.call("POST", "/v1/replays", json=asked)
    assert again["repeated"]
    await world.swept()
    assert len((await world.timeline(login))["deliveries"]) == 2
    assert len(await world.messages(login.phone)) == 1
    assert (await world.call("GET", f"/v1/replays/{asked['replay_id']}"))["counts"] == {"replayed": 1}


async def test_a_replay_skips_what_was_used_or_expired_and_says_so(world: World):
    account = new_id()
    used, over = Login(email=None, account=account), Login(email=None, account=account, seconds=6)
    await world.faults(sms={str(login.phone): {"mode": "refuse"} for login in (used, over)})
    for login in (used, over):
        await world.open(login)
        await world.row(login, "sms", "failed")
    await world.publish(world.verified(used))
    await world.closed(used, "verified")

    async def both() -> Any:
        dry = await world.call("POST", "/v1/replays", json={"account": str(account), "dry_run": True})
        assert dry["counts"]["used"] == 1
        return dry if dry["counts"]["replayed"] == 0 else None

    assert (await until(both, 15, "a code that expired"))["counts"] == {"replayed": 0, "used": 1, "expired": 1}


async def test_two_replays_at_once_send_once(world: World):
    login = Login(email=None)
    await world.faults(sms={str(login.phone): {"mode": "refuse"}})
    await world.open(login)
    await world.row(login, "sms", "failed")
    await world.faults(sms={str(login.phone): {"mode": "hang", "seconds": 1}})
    asked = {"account": str(login.account)}
    done = await asyncio.gather(*(world.call("POST", "/v1/replays", 202, json=asked) for _ in range(5)))
    await world.faults()
    assert sum(one["counts"]["replayed"] for one in done) == 1
    assert {sum(one["counts"].values()) for one in done} == {1}
    rows = (await world.timeline(login))["deliveries"]
    assert len(rows) == 2


async def test_what_arrived_by_one_replay_is_not_sent_again_by_the_next(world: World):
    login = Login(email=None)
    await world.faults(sms={str(login.phone): {"mode": "refuse"}})
    await world.open(login)
    await world.row(login, "sms", "failed")
    await world.faults()
    asked = {"account": str(login.account)}
    assert (await world.call("POST", "/v1/replays", 202, json=asked))["counts"] == {"replayed": 1}
    await world.row(login, "sms", "delivered")
    assert (await world.call("POST", "/v1/replays", 202, json=asked))["matched"] == 0


async def test_a_replay_counts_what_a_phone_got_whoever_its_user_was(world: World):
    account, phone = new_id(), Login().phone
    for _ in range(5):
        login = await world.open(Login(phone=phone, email=None))
        await world.row(login, "sms", "delivered")
    late = Login(phone=phone, email=None, account=account)
    await world.faults(sms={str(phone): {"mode": "refuse"}})
    await world.open(late)
    await world.row(late, "sms", "failed")
    await world.faults()
    done = await world.call("POST", "/v1/replays", 202, json={"account": str(account)})
    assert done["counts"] == {"replayed": 0, "limit": 1}


async def test_a_paused_account_waits_and_goes_on(world: World):
    login = Login()
    paused = await world.call("POST", "/v1/deliveries/pause", json={"account": str(login.account)})
    assert str(login.account) in [each["account"] for each in paused["paused"]]
    await world.open(login)
    await world.row(login, "sms", "queued")
    await world.swept()
    await world.row(login, "sms", "queued")
    assert await world.messages(login.phone) == []
    await world.call("POST", "/v1/deliveries/resume", json={"account": str(login.account)})
    await world.message(login.phone)


async def test_a_list_goes_page_by_page_and_stays_in_its_account(world: World, place: Place):
    account = new_id()
    logins = [await world.open(Login(account=account)) for _ in range(3)]
    for login in logins:
        await world.row(login, "sms", "delivered")
    own = await client(place, str(account), SCOPES)
    first = await world.call("GET", "/v1/deliveries", params={"limit": "2", "state": "delivered"}, auth=own)
    rest = await world.call("GET", "/v1/deliveries", params={"limit": "2", "cursor": first["next"]}, auth=own)
    seen = [row["login_id"] for row in first["deliveries"] + rest["deliveries"]]
    assert sorted(seen) == sorted(str(login.login_id) for login in logins)
    assert rest["next"] is None


async def test_another_accounts_deliveries_are_not_found(world: World, place: Place):
    login = await world.open(Login())
    await world.row(login, "sms", "delivered")
    foreign = await client(place, str(new_id()), SCOPES)
    await world.call("GET", f"/v1/timelines/{login.login_id}", 404, auth=foreign)
    await world.call("GET", "/v1/deliveries", 404, params={"account": str(login.account)}, auth=foreign)
    await world.call("POST", "/v1/replays", 404, json={"account": str(login.account)}, auth=foreign)
    await world.call("POST", "/v1/deliveries/pause", 404, json={"account": str(login.account)}, auth=foreign)
    await world.call("GET", "/v1/dead-letters", 403, auth=foreign)
    own = await world.call("GET", "/v1/deliveries", auth=foreign)
    assert own == {"deliveries": [], "next": None}


async def test_a_call_without_the_scope_or_credentials_is_refused(world: World, place: Place):
    reader = await client(place, "*", ["deliveries:read"])
    await world.call("POST", "/v1/replays", 403, json={}, auth=reader)
    await world.call("POST", "/v1/deliveries/pause", 403, json={}, auth=reader)
    await world.call("PATCH", "/v1/providers/twilio", 403, json={"enabled": False}, auth=reader)
    await world.call("GET", "/v1/deliveries", 401, auth=None)


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "/v1/deliveries", {"params": {"nonsense": "1"}}),
        ("GET", "/v1/deliveries", {"params": {"account": "x"}}),
        ("GET", "/v1/deliveries", {"params": {"since": "yesterday"}}),
        ("GET", "/v1/deliveries", {"params": {"cursor": "x"}}),
        ("POST", "/v1/replays", {"json": {"replay_id": "../x"}}),
        ("POST", "/v1/replays", {"json": {"unknown": 1}}),
        ("POST", "/v1/replays", {"data": b"{"}),
        ("PATCH", "/v1/providers/twilio", {"json": {}}),
        ("PATCH", "/v1/providers/twilio", {"json": {"weight": -1}}),
        ("GET", "/v1/deliveries", {"params": {"since": "2026-01-01T00:00:00"}}),
        ("GET", "/v1/deliveries", {"params": {"state": "a\x00b"}}),
    ],
)
async def test_a_bad_call_is_answered_with_what_is_wrong(world: World, method: str, path: str, more: dict[str, Any]):
    problem = await world.call(method, path, 400, **more)
    assert problem["type"] == "urn:gatepost:bad-request"


async def test_a_provider_that_is_switched_off_gets_nothing(world: World):
    providers = (await world.call("GET", "/v1/providers"))["providers"]
    assert {p["name"] for p in providers} == {"twilio", "smtp"}
    await world.call("PATCH", "/v1/providers/twilio", json={"enabled": False})
    try:
        login = await until(lambda: asked_for_nothing(world), 15, "an SMS without a provider")
        await world.message(login.email)
        assert await world.messages(login.phone) == []
    finally:
        await world.call("PATCH", "/v1/providers/twilio", json={"enabled": True})
        await until(lambda: asked_for_nothing(world, is_so=False), 15, "an SMS with a provider")


async def asked_for_nothing(world: World, is_so: bool = True) -> Login | None:
    """A login whose SMS no provider was asked for; with `is_so=False` one whose SMS a provider took."""
    login = await world.open(Login())

    async def looked() -> Any:
        rows = (await world.timeline(login))["deliveries"]
        return next((r for r in rows if r["channel"] == "sms" and r["state"] in ("failed", "sent", "delivered")), None)

    row = await until(looked, 15, "an end of the SMS")
    return login if (row["reason"] == "no-provider") is is_so else None


async def test_the_live_stream_shows_a_login_as_it_happens(world: World):
    login = Login()
    async with world.http.get(f"{world.url}/v1/deliveries/stream", headers=world.auth) as stream:
        assert (await stream.content.readline()).startswith(b": connected")
        await world.open(login)
        seen: list[str] = []
        async with asyncio.timeout(10):
            while "delivered" not in seen:
                line = await stream.content.readline()
                if line.startswith(b"data: "):
                    step = msgspec.json.decode(line[6:])
                    seen += [step["what"]] if step["login_id"] == str(login.login_id) else []
    assert seen == ["queued", "sent", "delivered"]


async def test_delivery_says_what_it_is_and_that_it_is_ready(world: World):
    assert (await world.call("GET", "/readyz", auth=None))["status"] == "ready"
    document = await world.call("GET", "/openapi.json", auth=None)
    assert "/v1/replays" in document["paths"]
