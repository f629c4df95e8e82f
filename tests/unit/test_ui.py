"""The base of all pages: assets named by their content, headers, problems that people can read, forms of our own."""

import hashlib
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from services.platform import http
from services.platform.http import Problem
from services.platform.ui import pages
from services.platform.ui.assets import Assets
from services.platform.ui.forgery import FormTokens, from_own_page
from services.platform.ui.forms import form

STATIC = Path(pages.__file__).parent / "static"
OWN = "https://login.example.com"
MISSING: web.AppKey[list[str]] = web.AppKey("missing", list)
BROWSER = {"Accept": "text/html,*/*;q=0.8"}


class OneKey:
    def __init__(self, secret: bytes) -> None:
        self.active = SimpleNamespace(id=1, secret=secret)

    def get(self, _: int) -> Any:
        return self.active


@pytest.fixture
async def client(tmp_path: Path) -> Any:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hello.html").write_text(
        '{% extends "base.html" %}{% block main %}{{ who }}{% endblock %}'
    )

    missing: list[str] = []

    async def ready() -> dict[str, Any]:
        if missing:
            raise http.NotReady(missing[0])
        return {}

    app = http.base_app("test", ready, {})
    app[MISSING] = missing
    pages.setup(app, "/here", tmp_path)

    async def hello(request: web.Request) -> web.Response:
        return pages.page(request, "hello.html", who=request.query["who"])

    async def busy(request: web.Request) -> web.Response:
        raise Problem(503, "busy", "Wait <a moment>.", {"Retry-After": "1"})

    async def take(request: web.Request) -> web.Response:
        await form(request)
        return await busy(request)

    app.router.add_get("/here", hello)
    app.router.add_post("/here/busy", take)
    app.router.add_post("/here/unread", busy)
    app.router.add_get("/here/busy", busy)
    app.router.add_get("/v1/busy", busy)
    async with TestClient(TestServer(app)) as found:
        yield found


async def test_a_page_escapes_what_it_shows_and_forbids_what_it_does_not_need(client: Any):
    answer = await client.get("/here", params={"who": "<script>1</script>"})
    assert "&lt;script&gt;1&lt;/script&gt;" in await answer.text()
    csp = answer.headers["Content-Security-Policy"]
    assert csp.startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in csp
    assert "unsafe" not in csp
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_assets_are_named_by_their_content_and_kept_for_a_year(client: Any):
    text = await (await client.get("/here", params={"who": "x"})).text()
    address = re.search(r'href="(/here/static/gatepost\.([0-9a-f]{16})\.css)"', text)
    assert address is not None
    answer = await client.get(address[1])
    assert hashlib.sha256(await answer.read()).hexdigest().startswith(address[2])
    assert (answer.content_type, answer.headers["Cache-Control"]) == (
        "text/css",
        "public, max-age=31536000, immutable",
    )
    assert (await client.get("/here/static/gatepost.css")).status == 404


async def test_a_problem_is_a_page_for_browsers_below_the_prefix_and_a_document_for_all_others(client: Any):
    page = await client.get("/here/busy", headers=BROWSER)
    assert (page.status, page.content_type, page.headers["Retry-After"]) == (503, "text/html", "1")
    assert page.headers["Refresh"] == "5"  # it mends itself, without JavaScript too
    assert "Wait &lt;a moment&gt;." in await page.text()
    missing = await client.get("/here/nothing", headers=BROWSER)
    assert (missing.status, missing.content_type) == (404, "text/html")
    assert "Refresh" not in missing.headers
    for path, headers in (("/here/busy", {}), ("/v1/busy", BROWSER), ("/hereafter", {}), ("/", {})):
        assert (await client.get(path, headers=headers)).content_type == "application/problem+json"


async def test_an_address_where_nothing_is_is_a_page_in_a_browser_too(client: Any):
    for path in ("/hereafter", "/v1/nothing"):
        answer = await client.get(path, headers=BROWSER)
        assert (answer.status, answer.content_type) == (404, "text/html")
        assert '<a class="button" href="/">To the start</a>' in await answer.text()


async def test_the_root_leads_a_browser_to_where_people_begin(client: Any):
    answer = await client.get("/", headers=BROWSER, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/here")
    assert (await client.post("/", headers=BROWSER)).status == 404


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("TEXT/HTML; charset=utf-8 ;q=0.9, */*", True),
        ("text/html, application/json;q=0.9", True),
        ("application/json, text/html;q=0.9", False),
        ("application/problem+json, text/html;q=0", False),
        ("text/html;q=x", False),
        ("text/html;q=1e400", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_a_page_is_for_whoever_likes_html_best(accept: str, is_page: bool):
    assert pages.wants_page(make_mocked_request("GET", "/", headers={"Accept": accept})) is is_page


async def test_a_form_that_could_not_be_taken_is_given_back_without_its_passwords(client: Any):
    body = {"name": 'An"na<', "then": "force_login", "password": "geheim-4711", "empty_password": "", "form_token": "t"}
    answer = await client.post("/here/busy?x=1", data=body, headers=BROWSER)
    text = await answer.text()
    assert (answer.status, answer.headers["Retry-After"], "Refresh" in answer.headers) == (503, "1", False)
    assert "Nothing was saved and nothing was sent." in text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text))
    assert hidden == {"name": "An&#34;na&lt;", "then": "force_login", "empty_password": "", "form_token": "t"}
    assert 'action="/here/busy?x=1"' in text
    assert re.search(r'<input id="password" name="password" type="password"', text)
    assert "geheim-4711" not in text


async def test_a_form_that_was_not_read_cannot_be_given_back_and_the_page_says_so(client: Any):
    answer = await client.post("/here/unread", data={"name": "Anna"}, headers=BROWSER)
    assert "Go back, and send it again" in await answer.text()


async def test_a_script_is_told_whether_a_form_can_be_taken(client: Any):
    assert (await client.get("/here/answers")).status == 204
    client.app[MISSING].append("the database")
    assert (await client.get("/here/answers")).status == 503


async def test_a_template_that_misses_a_value_fails_instead_of_showing_nothing(tmp_path: Path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "bad.html").write_text("{{ not_given }}")
    app = web.Application()
    pages.setup(app, "/x", tmp_path)
    request = make_mocked_request("GET", "/x", app=app)
    with pytest.raises(jinja2.UndefinedError):
        pages.fragment(request, "bad.html")


def test_two_assets_of_one_name_stop_the_start(tmp_path: Path):
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "gatepost.css").write_text("")
    with pytest.raises(ValueError, match=r"gatepost\.css"):
        Assets("/x", STATIC.parent, tmp_path)


def test_no_style_or_script_stands_inside_a_template():
    root = Path(pages.__file__).parents[2]
    templates = [*root.glob("*/pages/templates/**/*.html"), *root.glob("*/operations/templates/**/*.html")]
    for path in [*(STATIC.parent / "templates").glob("*.html"), *templates]:
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe", text), path
        assert all("src=" in script for script in re.findall(r"<script[^>]*>", text)), path


def test_vendored_scripts_are_those_of_the_table():
    rows = re.findall(r"^\| `([^`]+)` \| .* `([0-9a-f]{64})` \|$", (STATIC / "README.md").read_text(), re.MULTILINE)
    assert {name for name, _ in rows} == {path.name for path in STATIC.glob("*.min.js")}
    for name, digest in rows:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": OWN}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "https://login.example.com.evil.example"}, False),
        ({"Origin": "https://login.example.com:8443"}, False),
        ({"Origin": OWN, "Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": OWN, "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "https://app.example.com", "Sec-Fetch-Site": "same-origin"}, False),
    ],
)
def test_a_form_comes_from_our_own_page(headers: dict[str, str], allowed: bool):
    request = make_mocked_request("POST", "/login", headers={"Host": "login.example.com", **headers})
    with nullcontext() if allowed else pytest.raises(Problem, match="foreign-form"):
        from_own_page(request, OWN)


def test_a_token_is_good_for_what_it_was_made_for_with_the_key_that_made_it():
    ours, others = (FormTokens(OneKey(secret)) for secret in (b"a" * 32, b"b" * 32))  # type: ignore[arg-type]
    token = ours.make("this browser")
    ours.check("this browser", token)
    for tokens, bound_to, given in (
        (ours, "another", token),
        (others, "this browser", token),
        (ours, "this browser", token[:-2]),
        (ours, "this browser", ""),
        (ours, "this browser", "ü"),
    ):
        with pytest.raises(Problem):
            tokens.check(bound_to, given)
