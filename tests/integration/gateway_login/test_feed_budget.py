"""How much an account may feed by HTTP, and how it is told; feeds and those who sign in do not wait for each other."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from schemas.events import LoginChallenged, LoginRefused
from services.login_gateway.routes.feed import FEEDING, PATIENCE_SECONDS
from tests.feeding import items
from tests.integration.gateway_login.test_feed_calls import FEED, item, platform
from tests.integration.gateway_login.test_feed_topic import COUNT, OF, SPENT, held, many
from tests.integration.gateway_login.world import Answer, Desk, Heard, Place, eventually, opened

LEAST = 500


async def tight(desk: Desk, account: UUID) -> None:
    """The smallest budget there is: eight logins and a third in a second."""
    await desk.pool.execute("UPDATE accounts SET feed_per_minute = $2 WHERE account_id = $1", account, LEAST)


def left(answer: Answer) -> int:
    policy, limit = answer.headers["RateLimit-Policy"], answer.headers["RateLimit"]
    assert policy == f'"logins";q={LEAST};w=60;gatepost-unit="logins"'
    found = re.fullmatch(r'"logins";r=(\d+);t=(\d+)', limit)
    assert found, limit
    return int(found[1])


async def test_each_answer_says_what_is_left(desk: Desk) -> None:
    who = await desk.member(sms=False)
    await tight(desk, who.account_id)
    feed = await platform(desk, who.account_id)
    first = await feed("POST", body={"logins": [item(who) for _ in range(100)]})
    second = await feed("POST", body={"logins": [item(who) for _ in range(100)]})
    assert (first.status, second.status) == (200, 200)
    assert LEAST - 100 <= left(first) < LEAST
    assert LEAST - 200 <= left(second) < left(first)


async def test_a_call_beyond_the_budget_is_refused_as_a_whole_and_told_when_it_fits(desk: Desk) -> None:
    who = await desk.member(sms=False)
    await tight(desk, who.account_id)
    feed = await platform(desk, who.account_id)
    await desk.pool.execute(SPENT, who.account_id, 54)  # fifty are left
    given = [item(who) for _ in range(80)]
    refused = await feed("POST", body={"logins": given})
    assert (refused.status, refused.problem) == (429, "feed-budget-spent")
    assert refused.data["violated-policies"] == ["logins"]
    wait = int(refused.headers["Retry-After"])
    assert refused.headers["RateLimit"].endswith(f";t={wait}")
    assert 45 <= left(refused) <= 60
    assert 1 <= wait <= 4
    assert await desk.pool.fetchval(COUNT, who.account_id, [each["reference"] for each in given]) == 0
    fits = await feed("POST", body={"logins": given[:40]})
    assert fits.status == 200, "what a refused call asked for was spent"
    await asyncio.sleep(wait + 40 * 60 / LEAST)  # what was promised, and what was used meanwhile
    assert (await feed("POST", body={"logins": given})).status == 200


async def test_parallel_calls_do_not_slip_through(desk: Desk) -> None:
    who = await desk.member(sms=False)
    await tight(desk, who.account_id)
    feed = await platform(desk, who.account_id)
    await desk.pool.execute(SPENT, who.account_id, 48)  # a hundred are left
    calls = ({"logins": [item(who) for _ in range(40)]} for _ in range(8))
    answers = await asyncio.gather(*(feed("POST", body=body) for body in calls))
    granted = sum(answer.status == 200 for answer in answers)
    assert 2 <= granted <= 4, [answer.status for answer in answers]
    assert {answer.status for answer in answers} == {200, 429}


async def test_what_an_account_may_feed_is_the_installations_to_say(desk: Desk) -> None:
    who = await desk.member()
    path = f"/v1/accounts/{who.account_id}"
    own = await desk.client("accounts:write", account=str(who.account_id))
    answer = await desk("PATCH", path, {"settings": {"feed_per_minute": 600_000}}, Authorization=own)
    assert (answer.status, answer.problem) == (403, "forbidden")
    every = await desk.client("accounts:write")
    changed = await desk("PATCH", path, {"settings": {"feed_per_minute": 600}}, Authorization=every)
    assert (changed.status, changed.data["settings"]["feed_per_minute"]) == (200, 600)
    for wrong in (LEAST - 1, 600_001):
        answer = await desk("PATCH", path, {"settings": {"feed_per_minute": wrong}}, Authorization=every)
        assert (answer.status, answer.problem) == (422, "setting-out-of-range")


PATIENCE = "services.login_gateway.postgres.feed_calls.PATIENCE_SECONDS"


async def test_feeds_that_are_stuck_keep_nobody_from_signing_in(
    desk: Desk, place: Place, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More calls than are worked on at once, each behind a user whom somebody holds."""
    monkeypatch.setattr(PATIENCE, 60.0)
    stuck, person = await desk.member(), await desk.member()
    async with opened(place.but(feed_calls=2), heard) as busy:
        feed = await platform(busy, stuck.account_id)
        async with held(place, stuck.user_id):
            calls = [asyncio.create_task(feed("POST", body={"logins": [item(stuck)]})) for _ in range(4)]
            await _until_full(busy)
            for _ in range(3):
                assert (await busy.sign_in(person)).status == 202
            assert not any(call.done() for call in calls)
        answers = await asyncio.gather(*calls)
    assert {answer.status for answer in answers} == {200}


async def test_a_user_whom_somebody_holds_keeps_no_other_login_of_the_call_waiting(
    desk: Desk, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused alone, told on no topic, and opened once it is sent again."""
    monkeypatch.setattr(PATIENCE, 0.1)
    stuck = await desk.member()
    feed, first = await platform(desk, stuck.account_id), item(stuck)
    others = items(await many(desk, stuck.account_id, 50), secrets.token_hex(4))
    async with held(place, stuck.user_id):
        refused, *opened_now = await feed.feed(first, *others)
    assert (refused["status"], refused["reason"]) == ("refused", "busy")
    assert {each["status"] for each in opened_now} == {"signed_in"}
    again, *same = await feed.feed(first, *others)
    assert again["status"] == "code_required"
    assert [each["token"] for each in same] == [each["token"] for each in opened_now]
    await desk.heard.one(LoginChallenged, reference=first["reference"])
    assert not desk.heard.all(LoginRefused, reference=first["reference"])


async def test_a_user_who_is_let_go_is_opened_by_the_same_call(desk: Desk, place: Place) -> None:
    stuck = await desk.member()
    feed, first = await platform(desk, stuck.account_id), item(stuck)
    others = items(await many(desk, stuck.account_id, 5), secrets.token_hex(4))
    async with held(place, stuck.user_id):
        call = asyncio.create_task(feed.feed(first, *others))
        for each in others:
            await eventually(partial(desk.pool.fetchrow, OF, stuck.account_id, each["reference"]))
    assert [each["status"] for each in await call] == ["code_required"] + ["signed_in"] * len(others)


async def _until_full(desk: Desk) -> None:
    async with asyncio.timeout(10):
        while not desk.app[FEEDING].room.locked():  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.01)


async def test_a_call_that_finds_no_room_is_told_to_come_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.login_gateway.routes.feed.PATIENCE_SECONDS", PATIENCE_SECONDS / 50)
    who = await desk.member()
    feed, room = await platform(desk, who.account_id), desk.app[FEEDING].room
    taken = [await room.acquire() for _ in range(desk.app[FEEDING].house.settings.feed_calls)]
    try:
        answer = await feed("POST", body={"logins": [item(who)]})
    finally:
        for _ in taken:
            room.release()
    assert (answer.status, answer.problem, answer.headers["Retry-After"]) == (503, "busy", "1")
    body: dict[str, Any] = {"logins": [item(who)]}
    assert (await desk("POST", FEED, body, Authorization=feed._authorization)).status == 200


async def test_an_account_that_calls_much_keeps_no_other_waiting_for_long(
    desk: Desk, place: Place, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten calls, each as slow as can be, and then somebody else's."""
    monkeypatch.setattr(PATIENCE, 0.5)
    loud, quiet = await desk.member(), await desk.member(sms=False)
    async with opened(place.but(feed_calls=2), heard) as busy:
        many_calls, one = await platform(busy, loud.account_id), await platform(busy, quiet.account_id)
        async with held(place, loud.user_id):
            calls = [asyncio.create_task(many_calls("POST", body={"logins": [item(loud)]})) for _ in range(10)]
            await _until_full(busy)
            assert (await one("POST", body={"logins": [item(quiet)]})).status == 200
            assert sum(call.done() for call in calls) <= 4
        await asyncio.gather(*calls)


async def test_who_sends_a_call_slowly_keeps_nobody_else_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than are worked on at once: the head of a call, and then nothing."""
    monkeypatch.setattr("services.login_gateway.routes.feed.PATIENCE_SECONDS", PATIENCE_SECONDS / 50)
    slow, who = await desk.member(), await desk.member()
    theirs, feed = await platform(desk, slow.account_id), await platform(desk, who.account_id)

    async def never() -> AsyncIterator[bytes]:
        yield b'{"logins": ['
        begun.release()
        await asyncio.sleep(3600)

    begun, most = asyncio.Semaphore(0), desk.app[FEEDING].house.settings.feed_calls
    calls = [asyncio.create_task(theirs("POST", raw=never())) for _ in range(most)]
    for _ in calls:
        await begun.acquire()
    for _ in range(3):
        answer = await feed("POST", body={"logins": [item(who, user={"external_id": "nobody"})]})
        assert answer.status == 200, answer.data
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
