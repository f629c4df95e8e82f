"""Dead letters: found, opened without showing a contact, taken again as they were, exported, put away."""

import asyncio
import base64
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.environment import gatepost
from deploy.local.paths import ROOT
from schemas import codec, topics
from schemas.events import DeliveryFailed, Event
from services.delivery.dead_letters import Again
from services.platform.clock import new_id
from services.platform.dead_letters import DeadLetters
from services.platform.kafka import Connection, follower, stop
from services.platform.keys.deadletters import DeadLetterSeal
from services.platform.keys.keyring import Keyrings
from tests.integration.delivery.conftest import SCOPES, Place, client
from tests.integration.delivery.world import Login, World, until

Bin = dict[str, DeadLetters]


@pytest_asyncio.fixture
async def bins(world: World, place: Place) -> Bin:
    """What each service refuses records with."""
    seal = DeadLetterSeal(Keyrings(place.keys / "gateway").secret("dead-letters.pub"))
    return {name: DeadLetters(seal, world.producer, name) for name in ("gateway", "delivery", "session-store")}


async def refuse(world: World, bin_: DeadLetters, record: Again, reason: str) -> Any:
    """The letter of a record that was refused for that reason."""
    await bin_.send(record, reason)

    async def there() -> Any:
        found = (await world.call("GET", "/v1/dead-letters", params={"reason": reason}))["dead_letters"]
        return next((one for one in found if one["offset"] == record.offset), None)

    return await until(there, 15, "the letter")


def record_of(event: Event, offset: int = 0, signature: bytes = b"") -> Again:
    headers = [(topics.SIGNATURE_HEADER, signature)] if signature else []
    return Again(topics.topic_of(event).name, 0, offset, topics.key_of(event), codec.encode(event), headers)


def failed(login: Login) -> DeliveryFailed:
    return DeliveryFailed(
        id=str(new_id()),
        source="delivery",
        time=datetime.now(UTC),
        account_id=str(login.account),
        user_id=str(login.user),
        login_id=str(login.login_id),
        cause="login",
        channel="sms",
        state="failed",
        reason="refused",
        next="none",
    )


def a_reason() -> str:
    return f"test-{os.urandom(4).hex()}"


async def audited(place: Place, letter_id: str) -> Sequence[tuple[str, str]]:
    connection = await asyncpg.connect(place.dsn)
    rows = await connection.fetch("SELECT action, details FROM audit WHERE subject = $1 ORDER BY id", letter_id)
    await connection.close()
    return [(row["action"], row["details"]) for row in rows]


async def test_the_list_is_filtered_and_goes_page_by_page(world: World, bins: Bin):
    reason, event = a_reason(), world.challenge(Login())
    letters = [await refuse(world, bins["delivery"], record_of(event, offset), reason) for offset in range(3)]
    asked = {"reason": reason, "limit": "2", "topic": "login-challenges", "service": "delivery", "state": "open"}
    first = await world.call("GET", "/v1/dead-letters", params=asked)
    rest = await world.call("GET", "/v1/dead-letters", params=asked | {"cursor": first["next"]})
    assert [one["id"] for one in first["dead_letters"] + rest["dead_letters"]] == [one["id"] for one in letters][::-1]
    assert (rest["next"], first["dead_letters"][0]["replayable"]) == (None, True)
    for other in ({"topic": "logins"}, {"service": "gateway"}, {"state": "discarded"}, {"until": letters[0]["at"]}):
        assert (await world.call("GET", "/v1/dead-letters", params=asked | other))["dead_letters"] == []
    await world.call("GET", "/v1/dead-letters", 400, params={"cursor": "nonsense"})


async def test_an_opened_letter_shows_ids_and_keeps_what_is_sealed_and_who_opened_it_is_audited(
    world: World, bins: Bin, place: Place
):
    login = Login()
    event = world.challenge(login)
    letter = await refuse(world, bins["delivery"], record_of(event, 7), a_reason())
    found = await world.call("GET", f"/v1/dead-letters/{letter['id']}")
    record = found["content"]["record"]
    assert (record["login_id"], record["type"], record["digits"]) == (str(login.login_id), "LoginChallenged", 6)
    assert record["masked"]["email"] == event.masked["email"]
    assert (record["sealed"], found["content"]["problem"]) == (f"(sealed, {len(event.sealed)})", None)
    assert event.sealed not in str(found)
    assert await audited(place, letter["id"]) == [("dead-letters.show", "{}")]


async def test_a_contact_in_a_wrong_place_is_not_shown(world: World, bins: Bin):
    phone, email = "447911123456", "somebody@example.com"
    told = {"type": email, "phone": int(phone), "user_id": f"+{phone}", email: 1, "reason": phone, "masked": email}
    record = Again("logins", 0, 11, b"k", json.dumps(told | {"more": [{"a": phone}]}).encode(), [])
    found = await world.call("GET", f"/v1/dead-letters/{(await refuse(world, bins['gateway'], record, 'bad'))['id']}")
    assert phone not in str(found)
    assert email not in str(found)
    assert found["content"]["record"]["more"] == [{"a": "(text, 12)"}]
    record = Again("logins", 0, 12, b"k", b"no JSON, but +447911123456", [])
    found = await world.call("GET", f"/v1/dead-letters/{(await refuse(world, bins['gateway'], record, 'bad'))['id']}")
    assert (found["content"]["record"], found["content"]["problem"]) == (None, "not-json")


async def test_a_record_whose_cause_is_mended_is_taken_again_as_it_was(world: World, bins: Bin):
    login = Login(email=None)
    letter = await refuse(world, bins["delivery"], record_of(world.challenge(login)), a_reason())
    await world.call("POST", f"/v1/dead-letters/{letter['id']}/replay", 202)
    assert (await world.message(login.phone)).endswith(world.code(login, "sms"))
    found = await world.call("GET", f"/v1/dead-letters/{letter['id']}")
    assert (found["state"], bool(found["replayed_by"])) == ("replayed", True)


async def test_what_delivery_writes_goes_to_its_topic_again_byte_for_byte(world: World, bins: Bin, place: Place):
    record = record_of(failed(Login()), 3)
    letter = await refuse(world, bins["gateway"], record, a_reason())
    assert letter["replayable"]
    assert await published(place, record, lambda: again(world, letter)) == record.headers


async def test_another_services_record_is_exported_and_published_where_its_topic_may_be_written(
    world: World, bins: Bin, place: Place, tmp_path: Path
):
    login, file = Login(), tmp_path / "record"
    event = world.verified(login)
    key, value = topics.key_of(event), codec.encode(event)
    record = record_of(event, 4, world.signer.sign("session-events", key, value))
    letter = await refuse(world, bins["session-store"], record, a_reason())
    assert not letter["replayable"]
    problem = await world.call("POST", f"/v1/dead-letters/{letter['id']}/replay", 409)
    assert problem["type"] == "urn:gatepost:not-replayable-here"
    kept = await world.call("GET", f"/v1/dead-letters/{letter['id']}/record")
    assert base64.b64decode(kept["value"]) == value
    file.write_text(json.dumps(kept))

    async def publish() -> None:
        environment = {**os.environ, "GATEPOST_KAFKA": place.kafka}
        command = gatepost("topics", "publish", str(file))
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment)
        assert await process.wait() == 0

    assert await published(place, record, publish) == record.headers
    assert [action for action, _ in await audited(place, letter["id"])] == ["dead-letters.export"]


async def again(world: World, letter: Any) -> None:
    await world.call("POST", f"/v1/dead-letters/{letter['id']}/replay", 202)


async def published(place: Place, record: Again, publish: Any) -> list[tuple[str, bytes]]:
    """The headers of the record with that key and value once `publish` wrote it."""
    reading = follower(Connection(place.kafka), "gatepost-test-letters")
    await reading.start()
    try:
        from aiokafka import TopicPartition

        partitions = [TopicPartition(record.topic, n) for n in range(12)]
        reading.assign(partitions)
        await reading.seek_to_end(*partitions)
        await publish()
        async with asyncio.timeout(15):
            async for found in reading:
                if (found.key, found.value) == (record.key, record.value):
                    return list(found.headers)
    finally:
        await stop(reading)
    raise AssertionError


async def test_a_letter_that_was_put_away_keeps_the_reason_and_is_not_taken_again(
    world: World, bins: Bin, place: Place
):
    letter = await refuse(world, bins["delivery"], record_of(world.challenge(Login()), 5), a_reason())
    path = f"/v1/dead-letters/{letter['id']}"
    for body in ({}, {"reason": ""}, {"reason": "x" * 201}):
        await world.call("POST", f"{path}/discard", 400, json=body)
    done = await world.call("POST", f"{path}/discard", json={"reason": "of a test, ticket 7"})
    assert (done["state"], done["discard_reason"]) == ("discarded", "of a test, ticket 7")
    for call in ("discard", "replay"):
        problem = await world.call("POST", f"{path}/{call}", 409, json={"reason": "again"})
        assert problem["type"] == "urn:gatepost:dead-letter-discarded"
    assert [action for action, _ in await audited(place, letter["id"])] == ["dead-letters.discard"]


async def test_many_are_counted_first_and_each_is_taken_once(world: World, bins: Bin):
    reason, logins = a_reason(), [Login(email=None) for _ in range(60)]
    for offset, login in enumerate(logins):
        await bins["delivery"].send(record_of(world.challenge(login), offset), reason)
    await refuse(world, bins["session-store"], record_of(world.verified(Login()), 99), reason)
    asked: dict[str, Any] = {"reason": reason}

    async def all_there() -> Any:
        found = await world.call("POST", "/v1/dead-letters/replay", json=asked | {"dry_run": True})
        return found if found["counts"] == {"taken": 60, "not-ours": 1} else None

    counted = await until(all_there, 15, "every letter")
    first = await world.call("POST", "/v1/dead-letters/replay", json=asked | {"until": counted["until"]})
    assert first["counts"]["taken"] + first["counts"].get("not-ours", 0) == 50
    more = asked | {"until": counted["until"], "after": first["next"]}
    rest = await world.call("POST", "/v1/dead-letters/replay", json=more)
    assert (first["counts"]["taken"] + rest["counts"]["taken"], rest["next"]) == (60, None)
    for login in logins:
        await world.message(login.phone)
    last = await world.call("POST", "/v1/dead-letters/replay", json=asked)
    assert last["counts"] == {"taken": 0, "not-ours": 1}
    assert [len(await world.messages(login.phone)) for login in logins] == [1] * 60


async def test_many_are_counted_first_and_put_away_with_the_reason(world: World, bins: Bin):
    """What came after the count stays."""
    reason = a_reason()
    for offset in range(3):
        await refuse(world, bins["gateway"], record_of(world.verified(Login()), offset), reason)
    path, asked = "/v1/dead-letters/discard", {"reason": reason}
    counted = await world.call("POST", path, json=asked | {"dry_run": True})
    assert counted["discarded"] == 3
    await refuse(world, bins["gateway"], record_of(world.verified(Login()), 3), reason)
    await world.call("POST", path, 400, json=asked)
    done = await world.call("POST", path, json=asked | {"until": counted["until"], "because": "forged, ticket 7"})
    assert (done["discarded"], done["left"]) == (3, False)
    found = (await world.call("GET", "/v1/dead-letters", params={"reason": reason}))["dead_letters"]
    assert [(one["offset"], one["discard_reason"]) for one in found] == [
        (3, None),
        *((offset, "forged, ticket 7") for offset in (2, 1, 0)),
    ]


@pytest.mark.parametrize("scopes", [["deliveries:read", "deliveries:replay"], []])
async def test_who_may_not_operate_opens_nothing(world: World, bins: Bin, place: Place, scopes: list[str]):
    letter = await refuse(world, bins["delivery"], record_of(world.challenge(Login()), 6), a_reason())
    for auth in (await client(place, "*", scopes), await client(place, str(new_id()), SCOPES)):
        for path in ("", "/record"):
            await world.call("GET", f"/v1/dead-letters/{letter['id']}{path}", 403, auth=auth)
    assert await audited(place, letter["id"]) == []
