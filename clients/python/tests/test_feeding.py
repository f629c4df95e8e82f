"""Batches, back-pressure, and a reference that opens once whatever is lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
from aiohttp import web
from scripted import Asked, Pauses, client, in_turn, problem, references, serving

import gatepost_client as gp

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def logins(count: int, **more: str) -> Iterator[gp.FedLogin]:
    for number in range(count):
        user = gp.FedUser(external_id=f"e-{number}")
        yield gp.FedLogin(reference=f"r-{number}", user=user, authenticated_at=NOW, context=gp.Context(**more))


async def refusing(asked: Asked) -> web.StreamResponse:
    items = [{"reference": name, "status": "refused", "reason": "unknown-user"} for name in references(asked)]
    return web.json_response({"logins": items})


async def test_each_login_is_answered_in_order_in_batches():
    async with serving(refusing) as server, client(server) as gatepost:
        found = [fed async for fed in gatepost.feed.send(logins(1234), batch=500, at_once=3)]
    assert [fed.reference for fed in found] == [f"r-{number}" for number in range(1234)]
    assert {fed.outcome.reason for fed in found if isinstance(fed.outcome, gp.Refused)} == {"unknown-user"}
    assert sorted(len(references(asked)) for asked in server.asked) == [234, 500, 500]


async def test_a_body_stays_below_what_a_feed_takes():
    async with serving(refusing) as server, client(server) as gatepost:
        found = [fed async for fed in gatepost.feed.send(logins(900, locale="x" * 5000), batch=500)]
    assert len(found) == 900
    assert max(len(asked.body) for asked in server.asked) <= 1024 * 1024


async def test_too_fast_means_waiting_as_told_and_losing_nothing():
    pauses, full = Pauses(), [problem(429, "too-many-logins", 7), problem(429, "too-many-logins", 3600)]

    async def answer(asked: Asked) -> web.StreamResponse:
        return full.pop(0) if full else await refusing(asked)

    async with serving(answer) as server, client(server, pause=pauses) as gatepost:
        found = [fed.reference async for fed in gatepost.feed.send(logins(30), batch=10, at_once=1)]
    assert found == [f"r-{number}" for number in range(30)]
    assert 6 < pauses.taken[0] <= 7
    assert max(pauses.taken) <= 60


async def test_logins_are_read_only_as_fast_as_answers_come():
    read = list[str]()

    def source() -> Iterator[gp.FedLogin]:
        for login in logins(1000):
            read.append(login.reference)
            yield login

    async with serving(refusing) as server, client(server) as gatepost:
        async for _ in gatepost.feed.send(source(), batch=10, at_once=2):
            break
    assert len(read) <= 31
    assert len(server.asked) <= 3


async def test_a_login_that_comes_alone_waits_for_no_other():
    """Somebody waits for its code."""
    handed, goes_on = list[str](), asyncio.Event()

    async def source() -> AsyncIterator[gp.FedLogin]:
        for login in logins(3):
            yield login
            await goes_on.wait()
            goes_on.clear()

    async with serving(refusing) as server, client(server) as gatepost:
        async for fed in gatepost.feed.send(source(), batch=100, at_once=2):
            handed.append(fed.reference)
            goes_on.set()
    assert handed == ["r-0", "r-1", "r-2"]
    assert [references(asked) for asked in server.asked] == [["r-0"], ["r-1"], ["r-2"]]


async def test_a_source_that_breaks_is_told_after_what_came_before():
    def source() -> Iterator[gp.FedLogin]:
        yield from logins(25)
        raise LookupError("the platform's own")

    found = list[str]()

    async def feed(gatepost: gp.Gatepost) -> None:
        async for fed in gatepost.feed.send(source(), batch=10):
            found.append(fed.reference)

    async with serving(refusing) as server, client(server) as gatepost:
        with pytest.raises(LookupError):
            await feed(gatepost)
    assert found == [f"r-{number}" for number in range(25)]


async def test_a_batch_whose_answer_was_lost_is_sent_again_as_it_was():
    left = [ConnectionResetError]

    async def answer(asked: Asked) -> web.StreamResponse:
        if left:
            raise left.pop()
        return await refusing(asked)

    async with serving(answer) as server, client(server, pause=Pauses()) as gatepost:
        assert len([fed async for fed in gatepost.feed.send(logins(5))]) == 5
    assert server.asked[0].body == server.asked[1].body


async def test_a_verification_whose_answer_was_lost_is_sent_again_with_the_same_key():
    opened = {"token": "gp_x", "login_id": "l", "expires_at": "2026-12-01T00:00:00Z", "acr": "a", "amr": ["fed"]}
    answers = in_turn(ConnectionResetError, web.json_response(opened))
    async with serving(answers) as server, client(server, pause=Pauses()) as gatepost:
        assert (await gatepost.feed.verify("r-1", "123456")).token == "gp_x"
    assert len(server.asked) == 2
    assert len({asked.headers["Idempotency-Key"] for asked in server.asked}) == 1


async def test_a_stopped_feed_ends_with_what_to_do():
    async with serving(in_turn(problem(403, "feed-stopped"))) as server, client(server) as gatepost:
        with pytest.raises(gp.FeedStopped, match="resume-feed"):
            async for _ in gatepost.feed.send(logins(1000), batch=10, at_once=4):
                pass


async def test_a_reference_is_one_segment_of_the_path():
    async with serving(in_turn(problem(404, "not-found"))) as server, client(server) as gatepost:
        with pytest.raises(gp.NotFound):
            await gatepost.feed.verify("a/../b?c", "123456")
    assert server.asked[0].path == "/v1/feed/logins/a/../b?c/verify"


async def test_a_login_that_somebody_was_in_the_way_of_is_sent_again_alone():
    async def answer(asked: Asked) -> web.StreamResponse:
        first = len(server.asked) == 1
        reasons = {name: "busy" if first and name in ("r-3", "r-7") else "unknown-user" for name in references(asked)}
        items = [{"reference": name, "status": "refused", "reason": reason} for name, reason in reasons.items()]
        return web.json_response({"logins": items})

    async with serving(answer) as server, client(server) as gatepost:
        found = [fed async for fed in gatepost.feed.send(logins(10), batch=10)]
    assert [fed.reference for fed in found] == [f"r-{number}" for number in range(10)]
    assert {fed.outcome.reason for fed in found if isinstance(fed.outcome, gp.Refused)} == {"unknown-user"}
    assert [references(asked) for asked in server.asked][1:] == [["r-3", "r-7"]]
