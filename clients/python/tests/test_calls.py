"""Who repeats what, and what an answer that is no success becomes."""

import asyncio
import base64
import json

import pytest
from aiohttp import web
from scripted import Asked, Pauses, client, in_turn, problem, serving
from test_feeding import logins

import gatepost_client as gp
from gatepost_client import errors

SIGNED_IN = {
    "status": "signed_in",
    "token": "gp_secret",
    "login_id": "0193a1f0-0000-7000-8000-0000000000c1",
    "expires_at": "2026-12-01T00:00:00Z",
    "acr": "urn:gatepost:acr:pwd",
    "amr": ["pwd"],
    "a_field_of_tomorrow": 1,
}
LOGIN = {
    "status": "code_required",
    "login": "lg_secret",
    "login_id": "0193a1f0-0000-7000-8000-0000000000c1",
    "delivery": {"state": "queued", "channel": None, "to": None, "reason": None},
    "expires_at": "2026-12-01T00:00:00Z",
    "resend_at": None,
    "attempts_left": 5,
}


async def test_a_login_is_asked_again_with_the_same_key_while_gatepost_cannot_answer():
    pauses = Pauses()
    answers = in_turn(problem(503, "busy", 2), ConnectionResetError, web.json_response(SIGNED_IN))
    async with serving(answers) as server, client(server, pause=pauses) as gatepost:
        assert isinstance(await gatepost.logins.start("ada", "pw"), gp.SignedIn)
    assert len({asked.headers["Idempotency-Key"] for asked in server.asked}) == 1
    assert len(server.asked) == 3
    assert pauses.taken == [2, 1]


async def test_patience_ends_before_a_pause_that_would_outlast_it():
    pauses = Pauses()
    async with serving(in_turn(problem(503, "busy", 30))) as server, client(server, pause=pauses) as gatepost:
        with pytest.raises(gp.Unavailable) as away:
            await gatepost.logins.start("ada", "pw")
    assert (away.value.name, away.value.retry_after, pauses.taken) == ("busy", 30, [])


async def test_a_resend_whose_answer_was_lost_is_not_sent_again():
    async with serving(in_turn(ConnectionResetError)) as server, client(server) as gatepost:
        with pytest.raises(gp.Unavailable):
            await gatepost.logins.resend("lg_x", "sms")
    assert len(server.asked) == 1


async def test_a_resend_that_reached_nobody_is_tried_again():
    pauses = Pauses()
    async with serving(in_turn(ConnectionResetError)) as server:
        gone = server.url
    async with gp.Gatepost(gone, patience=1.2, pause=pauses) as gatepost:
        with pytest.raises(gp.Unavailable, match="reached"):
            await gatepost.logins.resend("lg_x")
    assert set(pauses.taken) == {1.0}


async def test_nothing_goes_where_a_redirect_points():
    async with serving(in_turn(web.json_response(LOGIN))) as elsewhere:
        away = web.Response(status=307, headers={"Location": elsewhere.url})
        async with serving(in_turn(away)) as server, client(server) as gatepost:
            with pytest.raises(gp.Unexpected):
                await gatepost.logins.start("ada", "pw")
            with pytest.raises(gp.Unexpected):
                await anext(gatepost.logins.follow("lg_x"))
    assert elsewhere.asked == []


async def test_a_handle_travels_in_the_header_and_no_repr_shows_secrets():
    async with serving(in_turn(web.json_response(LOGIN, status=202))) as server, client(server) as gatepost:
        login = await gatepost.logins.start("ada", "pw", account="demo", context=gp.Context(locale="de"))
        assert isinstance(login, gp.Login)
        await gatepost.logins.state(login)
    assert json.loads(server.asked[0].body)["context"] == {"locale": "de"}
    assert server.asked[1].path == "/v1/logins/-"
    assert server.asked[1].headers["Gatepost-Login"] == "lg_secret"
    assert base64.b64decode(server.asked[1].headers["Authorization"][6:]) == b"shop:secret"
    assert "lg_secret" not in repr(login)


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "bad-request", gp.BadRequest),
        (401, "invalid-credentials", gp.InvalidCredentials),
        (401, "wrong-code", gp.WrongCode),
        (401, "unauthenticated", gp.BadClient),
        (403, "forbidden", gp.Forbidden),
        (403, "feed-stopped", gp.FeedStopped),
        (404, "not-found", gp.NotFound),
        (409, "channel-not-allowed", gp.Conflict),
        (410, "login-closed", gp.LoginClosed),
        (413, "body-too-large", gp.BadRequest),
        (422, "bad-reference", gp.BadRequest),
        (429, "too-many-attempts", gp.TooMany),
        (500, "internal-error", gp.Unexpected),
        (418, "teapot", gp.Unexpected),
    ],
)
async def test_every_problem_is_an_exception_that_says_what_to_do(status: int, name: str, kind: type[gp.GatepostError]):
    answer = problem(status, name, 9, attempts_left=3, reason="expired")
    async with serving(in_turn(answer)) as server, client(server) as gatepost:
        with pytest.raises(gp.GatepostError) as raised:
            await gatepost.logins.verify("lg_x", "123456")
    error = raised.value
    assert type(error) is kind
    assert (error.name, error.status, error.detail) == (name, status, "Why.")
    assert str(error) == f"{name}: Why. {kind.do}"
    assert getattr(error, "retry_after", 9) == 9
    assert getattr(error, "attempts_left", 3) == 3
    assert getattr(error, "reason", "expired") == "expired"


def test_a_problem_cannot_overwrite_what_every_error_has():
    said = {"type": "urn:gatepost:x", "self": 1, "name": 2, "status": 3, "retry_after": 4, "not an identifier": 5}
    assert errors.error_of(429, said, 9).name == "x"
    assert errors.error_of(400, said, 9).status == 400


def test_every_error_says_what_to_do_in_its_own_words():
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, gp.GatepostError)]
    assert len({kind.do for kind in kinds}) == len(kinds)


async def test_what_is_no_problem_document_is_still_an_error():
    async with serving(in_turn(web.Response(status=502, text="<html>"))) as server, client(server, patience=0) as gate:
        with pytest.raises(gp.Unavailable):
            await gate.logins.verify("lg_x", "1")
    async with serving(in_turn(web.Response(text="[]"))) as server, client(server) as gate:
        with pytest.raises(gp.Unexpected):
            await gate.logins.verify("lg_x", "1")
    async with serving(in_turn(web.json_response({"token": 7}))) as server, client(server) as gate:
        with pytest.raises(gp.Unexpected):
            await gate.logins.verify("lg_x", "1")


@pytest.mark.parametrize("url", ["http://gatepost.example.com", "ftp://127.0.0.1", "gatepost.example.com"])
def test_passwords_go_over_plain_http_only_within_this_machine(url: str):
    with pytest.raises(ValueError, match="https"):
        gp.Gatepost(url)
    gp.Gatepost("http://localhost:8080")
    gp.Gatepost("http://gatepost.internal", insecure=True)


async def test_a_broken_stream_is_taken_up_again_until_the_login_is_over():
    pauses = Pauses()
    over = LOGIN | {"status": "closed", "reason": "expired"}
    sent = LOGIN | {"delivery": {"state": "sent", "channel": "sms", "to": "+44 •••• ••67"}}
    streams = [[LOGIN, sent], [sent, over]]

    async def answer(asked: Asked) -> web.StreamResponse:
        if not asked.path.endswith("/events"):
            return web.json_response(sent)
        lines = "".join(f": still here\r\nevent: state\r\ndata: {json.dumps(one)}\r\n\r\n" for one in streams.pop(0))
        return web.Response(text=lines + "event: state\r\ndata: {cut off", content_type="text/event-stream")

    async with serving(answer) as server, client(server, pause=pauses) as gatepost:
        seen = [(now.status, now.delivery.state) async for now in gatepost.logins.follow("lg_x")]
    assert seen == [
        ("code_required", "queued"),
        ("code_required", "sent"),
        ("code_required", "sent"),
        ("closed", "queued"),
    ]
    assert pauses.taken == [1]


async def test_many_can_be_followed_at_once_and_calls_still_go_through():
    following, everybody, let_go = list[str](), asyncio.Event(), asyncio.Event()

    async def answer(asked: Asked) -> web.StreamResponse:
        if not asked.path.endswith("/events"):
            return web.json_response(LOGIN)
        following.append(asked.path)
        if len(following) == 150:
            everybody.set()
        await let_go.wait()
        return web.Response(text=f"event: state\ndata: {json.dumps(LOGIN | {'status': 'signed_in'})}\n\n")

    async with serving(answer) as server, client(server) as gatepost:
        followers = [asyncio.create_task(anext(gatepost.logins.follow("lg_x"))) for _ in range(150)]
        await everybody.wait()
        assert (await gatepost.logins.state("lg_x")).status == "code_required"
        let_go.set()
        assert {now.status for now in await asyncio.gather(*followers)} == {"signed_in"}


async def test_who_gives_way_to_a_newer_stream_is_told():
    async with serving(in_turn(web.Response(text="event: elsewhere\ndata:\n\n"))) as server, client(server) as gatepost:
        with pytest.raises(gp.FollowedElsewhere):
            await anext(gatepost.logins.follow("lg_x"))


async def test_a_program_that_gave_no_client_is_told_so():
    async with serving(in_turn(problem(401, "unauthenticated"))) as server, gp.Gatepost(server.url) as gatepost:
        with pytest.raises(gp.BadClient, match=r"gave none.*client_id"):
            await gatepost.sessions.introspect("gp_x")
    async with serving(in_turn(problem(401, "unauthenticated"))) as server, client(server) as gatepost:
        with pytest.raises(gp.BadClient, match="clients list"):
            await gatepost.sessions.introspect("gp_x")


async def test_an_address_without_a_gateway_is_told_so():
    async with serving(in_turn(problem(404, "not-found"))) as server, client(server) as gatepost:
        with pytest.raises(gp.WrongAddress, match="no gateway"):
            await gatepost.logins.start("ada", "secret")
        with pytest.raises(gp.WrongAddress, match="no gateway"):
            await anext(gatepost.feed.send(logins(1)))


async def test_an_address_without_a_session_store_is_told_so():
    async with serving(in_turn(problem(404, "not-found"))) as server, client(server) as gatepost:
        with pytest.raises(gp.WrongAddress, match="session_store="):
            await gatepost.sessions.introspect("gp_x")
        with pytest.raises(gp.WrongAddress):
            await gatepost.sessions.revoke("gp_x")
