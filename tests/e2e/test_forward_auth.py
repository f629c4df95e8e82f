"""A plain web application behind Debian's nginx, as docs/forward-auth.md says, on the running system."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from deploy.local.story import Story
from tests.e2e.nginx import Application, application, documented, nginx, unused_port

SIGN_IN = "https://login.example.com"
USER = "X-Gatepost-User"
FORGED = "00000000-0000-7000-8000-00000000dead"


@dataclass
class Door:
    """The application behind nginx, and people of the story's account with sessions."""

    url: str
    host: str
    app: Application
    story: Story
    account: str

    async def sign_in(self) -> tuple[str, str]:
        """A token as the sign-in page puts it into the cookie, and whose it is: somebody's whom no other test knows."""
        who = {"username": f"door-{secrets.token_hex(4)}", "password": secrets.token_urlsafe(16)}
        await self.story.api.expect(201, "gateway", "POST", f"/v1/accounts/{self.account}/users", who)
        body = {"account": self.account, **who}
        _, answer = await self.story.api.call("gateway", "POST", "/v1/logins", body, authenticated=False)
        session = await self.story.becomes(answer["token"], True)
        return answer["token"], session["sub"]

    async def get(self, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, Any, str]:
        """Status, headers and text; no redirect is followed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.url + path
        asked = self.story.session.request(method, url, headers=named, allow_redirects=False, data=None)
        async with asked as answer:
            return answer.status, answer.headers, await answer.text()


@pytest_asyncio.fixture
async def door(stack: Stack, story: Story, tmp_path: Path) -> AsyncIterator[Door]:
    port, sessions = unused_port(), urlsplit(stack.environment.url("session-store")).netloc
    async with application() as app:
        site = documented(
            listen=f"listen 127.0.0.1:{port}",
            sessions=f"server {sessions}",
            app=f"http://127.0.0.1:{app.port}",
            account=story.account,
            sign_in=SIGN_IN,
        )
        async with nginx(tmp_path, port, site) as url:
            yield Door(url, f"127.0.0.1:{port}", app, story, story.account)


def cookie(token: str) -> str:
    return f"theme=dark; __Host-gatepost={token}; lang=de"


async def test_signed_out_to_sign_in_and_back_and_out_again_after_the_session_was_ended(door: Door):
    asked = "/reports?from=2026-01-01&to=2026-02-01&q=a%26b"
    status, headers, _ = await door.get(asked, Sec_Fetch_Mode="navigate")
    back = quote(f"http://{door.host}{asked}", safe="")
    assert (status, headers["Location"]) == (302, f"{SIGN_IN}/login?return_to={back}")
    assert door.app.seen == []

    token, user = await door.sign_in()
    status, _, text = await door.get(asked, Cookie=cookie(token))
    assert (status, text) == (200, f"the application at {asked}")
    seen = door.app.seen[-1]
    assert (seen["x-gatepost-user"], seen["x-gatepost-account"]) == ([user], [door.account])
    assert (seen["x-gatepost-role"], seen["cookie"]) == (["user"], ["theme=dark; lang=de"])

    path = f"/v1/accounts/{door.account}/users/{user}/expire-sessions"
    assert (await door.story.api.call("gateway", "POST", path, {}))[0] == 200
    await door.story.becomes(token, False)
    reached = len(door.app.seen)
    assert (await door.get(asked, Cookie=cookie(token), Sec_Fetch_Mode="navigate"))[0] == 302
    assert (await door.get(asked, Cookie=cookie(token), Sec_Fetch_Mode="cors"))[0] == 401
    assert len(door.app.seen) == reached


async def test_a_program_comes_in_by_bearer_and_the_application_does_not_see_its_token(door: Door):
    token, user = await door.sign_in()
    assert (await door.get("/", Authorization=f"Bearer {token}"))[0] == 200
    seen = door.app.seen[-1]
    assert (seen["x-gatepost-user"], "authorization" in seen, "cookie" in seen) == ([user], False, False)
    await door.get("/", Authorization="Bearer the.apps.own", Cookie=cookie(token))
    assert door.app.seen[-1]["authorization"] == ["Bearer the.apps.own"]


async def test_a_body_and_a_method_of_any_kind_reach_the_application_only_when_signed_in(door: Door):
    token, _ = await door.sign_in()
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        assert (await door.get("/", method, Sec_Fetch_Mode="cors"))[0] == 401
        assert (await door.get("/", method, Cookie=cookie(token)))[0] == 200


async def test_the_cookies_of_gatepost_are_taken_out_wherever_they_stand(door: Door):
    token, _ = await door.sign_in()
    mine = f"__Host-gatepost={token}"
    given_and_left = {
        mine: None,
        f"{mine}; a=1": "a=1",
        f"a=1; {mine}": "a=1",
        f"a=1; {mine}; b=2; __Host-gatepost-console=gp_x; __Host-gatepost-login=y; c=3": "a=1; b=2; c=3",
        f"a=1;{mine};b=2": "a=1;b=2",
        f"a=1; {mine}; __Secure-gatepost=x; __Host-gatepost-console=y; __Host-gatepost-login=z; b=2": None,
        f"a=1; {mine}; my__Host-gatepost=1": None,
    }
    for given, left in given_and_left.items():
        assert (await door.get("/", Cookie=given))[0] == 200
        assert door.app.seen[-1].get("cookie") == (None if left is None else [left]), given


FORGERIES = (
    [f"{USER}: {FORGED}"],
    [f"{USER.lower()}: {FORGED}", f"{USER.upper()}: {FORGED}"],
    [f"X_Gatepost_User: {FORGED}"],
    [f"X-Gatepost_User: {FORGED}", f"X_Gatepost-User: {FORGED}", "x_gatepost_role: admin"],
    ["X-Gatepost-Role: admin", "X-Gatepost-Role: operator"],
    [f"Connection: close, {USER}", f"{USER}: {FORGED}"],
    [f"{USER}:\t{FORGED}"],
    [f"X-Gatepost-Account: {FORGED}", "X_Gatepost_Account: x"],
)


@pytest.mark.parametrize("forged", FORGERIES)
async def test_what_a_browser_claims_to_be_does_not_reach_the_application(door: Door, forged: list[str]):
    token, user = await door.sign_in()
    assert b" 200 " in await raw(door, forged, f"Cookie: {cookie(token)}")
    seen = door.app.seen[-1]
    told = {name: values for name, values in seen.items() if "gatepost" in name}
    wanted = {"user": user, "account": door.account, "role": "user"}
    assert told == {f"x-gatepost-{name}": [value] for name, value in wanted.items()}
    assert FORGED not in str(seen)

    reached = len(door.app.seen)
    assert b" 302 " in await raw(door, forged)
    assert len(door.app.seen) == reached


async def raw(door: Door, *lines: Any) -> bytes:
    """A request written by hand: clients mend names that no browser would send. Gives the first line of the answer."""
    flat = [line for given in lines for line in ([given] if isinstance(given, str) else given)]
    text = "\r\n".join(["GET / HTTP/1.1", f"Host: {door.host}", *flat, "", ""])
    reader, writer = await asyncio.open_connection(*door.host.split(":"))
    writer.write(text.encode())
    try:
        return await reader.readline()
    finally:
        writer.close()


async def test_a_session_of_another_account_is_a_403(door: Door):
    story = door.story
    made = {"name": f"other-{door.host.rpartition(':')[2]}"}
    _, other = await story.api.call("gateway", "POST", "/v1/accounts", made)
    person = {"username": "eve", "password": "a good long phrase", "two_factor": {"sms": False, "email": False}}
    await story.api.call("gateway", "POST", f"/v1/accounts/{other['account_id']}/users", person)
    sign_in = {"account": made["name"], "username": "eve", "password": person["password"]}
    status, answer = await story.api.call("gateway", "POST", "/v1/logins", sign_in, authenticated=False)
    assert status == 200
    await story.becomes(answer["token"], True)
    assert (await door.get("/", Cookie=cookie(answer["token"])))[0] == 403
    assert door.app.seen == []
