"""What is remembered of a session, and for how long."""

import asyncio
import time

import pytest
from aiohttp import web
from scripted import Asked, Server, client, in_turn, problem, serving

import gatepost_client as gp
from gatepost_client.introspection import Sessions
from gatepost_client.transport import Connections, Transport

LIVE = {
    "active": True,
    "sub": "u",
    "account": "a",
    "role": "user",
    "acr": "urn:gatepost:acr:pwd",
    "amr": ["pwd"],
    "jti": "l",
    "aud": "apps",
    "iat": 1,
    "auth_time": 1,
    "claims": {},
    "device": None,
}


class Clocks:
    def __init__(self) -> None:
        self.monotonic = 100.0
        self.now = time.time()


def live(clocks: Clocks, seconds: int = 1000) -> web.Response:
    return web.json_response(LIVE | {"exp": int(clocks.now) + seconds})


def sessions(server: Server, http: Connections, clocks: Clocks, **more: float) -> Sessions:
    store = Transport(http, server.url, None, patience=0)
    return Sessions(store, now=lambda: clocks.now, monotonic=lambda: clocks.monotonic, **more)  # type: ignore[arg-type]


async def test_a_live_session_is_remembered_for_so_long_and_no_longer():
    clocks = Clocks()
    async with serving(in_turn(live(clocks))) as server, Connections() as http:
        known = sessions(server, http, clocks, remember=5)
        for step, asked in ((0, 1), (4.9, 1), (0.1, 2)):
            clocks.monotonic += step
            assert await known.introspect("gp_x") is not None
            assert len(server.asked) == asked


async def test_it_is_remembered_from_before_the_question():
    clocks = Clocks()

    async def slow(asked: Asked) -> web.StreamResponse:
        clocks.monotonic += 3
        return live(clocks)

    async with serving(slow) as server, Connections() as http:
        known = sessions(server, http, clocks, remember=5)
        await known.introspect("gp_x")
        clocks.monotonic += 2.1
        await known.introspect("gp_x")
        assert len(server.asked) == 2


async def test_what_is_remembered_ends_with_the_session():
    clocks = Clocks()
    answers = in_turn(live(clocks, 2), web.json_response({"active": False}))
    async with serving(answers) as server, Connections() as http:
        known = sessions(server, http, clocks, remember=5)
        assert await known.introspect("gp_x") is not None
        clocks.now += 2.1
        assert await known.introspect("gp_x") is None
    assert len(server.asked) == 2


async def test_an_answer_that_is_over_when_it_comes_counts_as_none():
    clocks = Clocks()
    async with serving(in_turn(live(clocks, -1))) as server, Connections() as http:
        assert await sessions(server, http, clocks).introspect("gp_x") is None


@pytest.mark.parametrize("seconds", [-1, 5.1, 60])
def test_nobody_can_make_it_remember_longer_than_five_seconds(seconds: float):
    with pytest.raises(ValueError, match="5 seconds"):
        gp.Gatepost("http://localhost", remember=seconds)


async def test_only_live_sessions_are_remembered_and_not_more_than_so_many():
    clocks = Clocks()
    async with serving(in_turn(web.json_response({"active": False}))) as server, Connections() as http:
        known = sessions(server, http, clocks)
        assert [await known.introspect("gp_x") for _ in range(3)] == [None] * 3
    assert len(server.asked) == 3
    async with serving(in_turn(live(clocks))) as server, Connections() as http:
        known = sessions(server, http, clocks, most=10)
        for number in range(50):
            await known.introspect(f"gp_{number}")
        assert len(known._known) == 10


async def test_what_is_over_takes_no_room():
    clocks = Clocks()
    async with serving(in_turn(live(clocks))) as server, Connections() as http:
        known = sessions(server, http, clocks, remember=5)
        for number in range(20):
            await known.introspect(f"gp_{number}")
            clocks.monotonic += 1
        assert len(known._known) == 5


async def test_a_foreign_token_is_nobody_and_is_shown_to_nobody():
    async with serving(in_turn(problem(500, "x"))) as server, client(server) as gatepost:
        assert await gatepost.sessions.introspect("eyJhbGciOi") is None
        assert server.asked == []


async def test_cannot_tell_is_an_error_and_never_a_no():
    async with serving(in_turn(problem(503, "session-unknown", 1))) as server, client(server, patience=0) as gatepost:
        with pytest.raises(gp.Unavailable):
            await gatepost.sessions.introspect("gp_x")


async def test_a_revoked_session_is_forgotten_even_where_an_older_answer_is_under_way():
    clocks, go_on, asked_once = Clocks(), asyncio.Event(), asyncio.Event()

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.path == "/v1/revoke":
            return web.json_response({})
        asked_once.set()
        await go_on.wait()
        return live(clocks)

    async with serving(answer) as server, Connections() as http:
        known = sessions(server, http, clocks, remember=5)
        slow = asyncio.create_task(known.introspect("gp_x"))
        await asked_once.wait()
        await known.revoke("gp_x")
        go_on.set()
        await slow
        await known.introspect("gp_x")
        assert [asked.path for asked in server.asked].count("/v1/introspect") == 2


async def test_a_hundred_who_wait_for_one_token_ask_once_and_one_that_leaves_ends_nothing():
    clocks, go_on, asked_once = Clocks(), asyncio.Event(), asyncio.Event()

    async def answer(asked: Asked) -> web.StreamResponse:
        asked_once.set()
        await go_on.wait()
        return live(clocks)

    async with serving(answer) as server, Connections() as http:
        known = sessions(server, http, clocks)
        waiting = [asyncio.create_task(known.introspect("gp_x")) for _ in range(100)]
        await asked_once.wait()
        waiting[0].cancel()
        go_on.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert all(isinstance(each, gp.Session) for each in found[1:])
    assert len(server.asked) == 1


@pytest.mark.parametrize("remember", [2.0, 0.0])
async def test_nobody_takes_the_answer_to_a_question_that_is_older_than_an_answer_may_be(remember: float):
    """A slow answer may be from before the session was ended elsewhere."""
    clocks, go_on, asked_once = Clocks(), asyncio.Event(), asyncio.Event()

    async def answer(asked: Asked) -> web.StreamResponse:
        if not asked_once.is_set():
            asked_once.set()
            await go_on.wait()
            return live(clocks)
        return web.json_response({"active": False})

    async with serving(answer) as server, Connections() as http:
        known = sessions(server, http, clocks, remember=remember)
        slow = asyncio.create_task(known.introspect("gp_x"))
        await asked_once.wait()
        clocks.monotonic += remember
        late = asyncio.create_task(known.introspect("gp_x"))
        done, _ = await asyncio.wait({late}, timeout=5)
        go_on.set()
        assert done, "it waited for the older question"
        assert await late is None
        await slow
        assert await known.introspect("gp_x") is None, "the older answer was remembered"
