"""The ground of the consoles: who may see a page, where everybody else is led, and which forms are taken."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from services.platform import auth, http
from services.platform.auth import User, right
from services.platform.cookies import CONSOLE as COOKIE
from services.platform.cookies import LONGEST_WAY_BACK
from services.platform.http import Problem
from services.platform.ui import console, pages
from services.platform.ui.console import Console, Link, Person
from services.platform.ui.times import ago, lasting, utc

NOW = datetime.now(UTC)
USERS = {
    "gp_admin": User("u1", "a1", "admin", NOW),
    "gp_other-browser": User("u1", "a1", "admin", NOW),
    "gp_stale": User("u1", "a1", "admin", NOW - timedelta(minutes=16)),
    "gp_user": User("u2", "a1", "user", NOW),
}
SEES = right(roles=("admin",))
PAGES = {
    ("GET", "/there"): SEES,
    ("GET", "/there/one"): SEES,
    ("POST", "/there/one"): SEES,
    ("POST", "/there/end"): right(roles=("admin",), fresh=True),
}
HTML = {"Accept": "text/html"}


async def introspect(token: str) -> User | None:
    if token == "gp_down":
        raise http.unavailable("session-store-unavailable", "The session store does not answer.")
    return USERS.get(token)


async def person(user: User) -> Person:
    return Person(f"name of {user.user_id}", "demo")


async def show(request: web.Request) -> web.Response:
    await console.visitor(request)
    return console.framed(request, "one.html", heading="One")


async def take(request: web.Request) -> web.Response:
    try:
        _, given = await console.sent(request)
    except Problem as problem:
        return web.json_response({"problem": problem.name, "typed": console.typed(request)}, status=problem.status)
    return web.json_response({"given": given})


async def end(request: web.Request) -> web.Response:
    found, _ = await console.sent(request)
    return web.json_response({"by": found.user.user_id})


async def ready() -> dict[str, Any]:
    return {}


@pytest.fixture(params=["", "https://sign-in.example"])
async def client(request: Any, tmp_path: Path) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "one.html").write_text(
        '{% extends "console.html" %}{% block task %}<input name="form_token" value="{{ form_token }}">{% endblock %}'
    )
    app = http.base_app("test", ready, {})
    pages.setup(app, "/there", tmp_path)
    app[auth.INTROSPECT] = introspect
    links = (Link("/there/one", "One"), Link("/there/two", "Two"))
    app[console.CONSOLE] = Console(
        "/there", "There", "It is for admins.", links, PAGES, "https://here.example/", person, request.param
    )
    app.router.add_get("/there", show)
    app.router.add_get("/there/one", show)
    app.router.add_post("/there/one", take)
    app.router.add_post("/there/end", end)
    async with TestClient(TestServer(app)) as found:
        yield found


def signed_in(token: str, **more: str) -> dict[str, Any]:
    return {"headers": {**HTML, "Cookie": f"{COOKIE}={token}", **more}, "allow_redirects": False}


def own(client: Any, token: str, page: str = "/there/one") -> dict[str, Any]:
    at = f"http://{client.host}:{client.port}"
    return signed_in(token, Origin=at, Referer=f"{at}{page}")


async def token_of_form(client: Any, token: str) -> str:
    answer = await client.get("/there/one", **signed_in(token))
    found = re.search(r'name="form_token" value="([^"]+)"', await answer.text())
    assert found is not None
    return found[1]


def sign_in(client: Any, back: str, path: str = "/login") -> str:
    base = client.app[console.CONSOLE].sign_in
    return f"{base}{path}?return_to={'https://here.example' if base else ''}{back}"


async def test_a_way_back_that_the_sign_in_would_not_take_leads_to_the_page_without_its_query(client):
    for length in (200, LONGEST_WAY_BACK):
        answer = await client.get(f"/there/one?find={'x' * length}", **signed_in("gp_nobody"))
        back = URL(answer.headers["Location"]).query["return_to"]
        assert len(back) <= LONGEST_WAY_BACK
        assert back.endswith("/there/one") is (length == LONGEST_WAY_BACK)


@pytest.mark.parametrize("cookie", ["", "gp_nobody", "gp_ü"])
async def test_whoever_is_not_signed_in_goes_to_the_sign_in_and_back(client: Any, cookie: str):
    answer = await client.get("/there/one?find=x", **signed_in(cookie))
    assert (answer.status, answer.headers["Location"]) == (303, sign_in(client, "/there/one?find%3Dx"))
    assert answer.headers["Cache-Control"] == "no-store"
    assert "find%3Dx" in answer.headers["Location"]


async def test_a_part_of_a_page_is_left_with_the_whole_page(client: Any):
    answer = await client.get("/there/one", **signed_in("", **{"HX-Request": "true"}))
    assert (answer.status, answer.headers["HX-Redirect"]) == (200, sign_in(client, "/there/one"))


async def test_the_frame_names_who_is_signed_in_where_one_is_and_the_way_out(client: Any):
    answer = await client.get("/there/one", **signed_in("gp_admin"))
    text = await answer.text()
    assert (answer.status, "<b>name of u1</b>" in text) == (200, True)
    assert '<a href="/there/one" aria-current="page">One</a>' in text
    assert '<a href="/there/two">Two</a>' in text
    assert f'href="{sign_in(client, "/there", "/login/out")}"' in text
    assert "gp_admin" not in text


async def test_the_wrong_role_is_told_whose_console_it_is(client: Any):
    answer = await client.get("/there/one", **signed_in("gp_user"))
    text = await answer.text()
    assert answer.status == 403
    assert "It is for admins." in text
    assert "whose role is <b>user</b>" in text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_without_the_session_store_the_page_says_so_and_comes_again(client: Any):
    answer = await client.get("/there/one", **signed_in("gp_down"))
    assert (answer.status, answer.headers["Refresh"]) == (503, "5")


async def test_a_form_that_comes_while_nobody_can_be_known_is_given_back(client: Any):
    answer = await client.post("/there/end", data={"name": "Anna", "form_token": "t"}, **own(client, "gp_down"))
    text = await answer.text()
    assert (answer.status, "We cannot tell at the moment who is signed in." in text) == (503, True)
    assert '<input type="hidden" name="name" value="Anna">' in text
    foreign = signed_in("gp_down", Origin="https://evil.example")
    assert (await client.post("/there/one", data={"name": "Anna"}, **foreign)).status == 403


async def test_a_form_is_taken_from_our_own_page_of_the_same_session_only(client: Any):
    token = await token_of_form(client, "gp_admin")
    body = {"form_token": token, "name": "Anna"}
    answer = await client.post("/there/one", data=body, **own(client, "gp_admin"))
    assert await answer.json() == {"given": {"name": "Anna"}}
    foreign = await client.post("/there/one", data=body, **signed_in("gp_admin", Origin="https://evil.example"))
    assert await foreign.json() == {"problem": "foreign-form", "typed": {}}
    for cookie, given in (("gp_other-browser", token), ("gp_admin", token[:-1]), ("gp_admin", "ü"), ("gp_admin", "")):
        refused = await client.post("/there/one", data=body | {"form_token": given}, **own(client, cookie))
        assert (refused.status, await refused.json()) == (403, {"problem": "foreign-form", "typed": {"name": "Anna"}})


async def test_a_form_without_a_session_goes_to_the_sign_in_and_back_to_its_page(client: Any):
    for page, back in (("/there/one?find=x", "/there/one?find%3Dx"), ("/elsewhere", "/there")):
        answer = await client.post("/there/end", data={}, **own(client, "gp_nobody", page))
        assert (answer.status, answer.headers["Location"]) == (303, sign_in(client, back))
    strange = signed_in("", Origin=f"http://{client.host}:{client.port}", Referer="https://evil.example/there/one")
    answer = await client.post("/there/end", data={}, **strange)
    assert answer.headers["Location"] == sign_in(client, "/there")


async def test_what_needs_a_fresh_sign_in_says_so_and_leads_there(client: Any):
    token = await token_of_form(client, "gp_stale")
    answer = await client.post("/there/end", data={"form_token": token}, **own(client, "gp_stale"))
    assert answer.status == 401
    text = await answer.text()
    assert "younger than 15 minutes" in text
    assert f'href="{sign_in(client, "/there/one")}"' in text
    token = await token_of_form(client, "gp_admin")
    answer = await client.post("/there/end", data={"form_token": token}, **own(client, "gp_admin"))
    assert await answer.json() == {"by": "u1"}


def test_instants_are_told_in_utc_with_the_time_since():
    at = datetime(2026, 11, 26, 3, 4, 59, tzinfo=UTC)
    assert utc(at) == "2026-11-26 03:04 UTC"
    for span, words in (
        (timedelta(seconds=4), "just now"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=400), "400 days ago"),
        (timedelta(days=-2), "in 2 days"),
    ):
        assert ago(at, at + span) == words
    assert lasting(timedelta(0)) == "0 seconds"
