"""Walks the operators' console over HTTP: every page and form, with nobody, every role, and long after a sign-in."""

import re
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from services.delivery.operations.table import PAGES
from services.platform.auth import FRESH
from services.platform.clock import new_id
from services.platform.cookies import CONSOLE
from tests.integration.delivery.conftest import Place
from tests.integration.delivery.test_who import signed_in
from tests.integration.delivery.world import Login, World

Call = tuple[str, str]
each_page = pytest.mark.parametrize("call", sorted(PAGES), ids=" ".join)
each_form = pytest.mark.parametrize("call", sorted(call for call in PAGES if call[0] == "POST"), ids=" ".join)
FORM_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
# Nothing of the kind is there, so nobody is harmed; and the stream would not end.
THERE_IS_NO = {"login_id": new_id(), "letter_id": new_id(), "replay_id": "none", "provider": "nobody"}
REFUSED_FILTER = {"account": "nobody"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cookies(world: World, place: Place) -> dict[str, str]:
    made = {role: await signed_in(world, place, Login(), role=role) for role in ("user", "admin", "operator")}
    made["long ago"] = await signed_in(world, place, Login(), role="operator", age=FRESH + timedelta(minutes=1))
    made["apps"] = await signed_in(world, place, Login(), role="operator", aud="apps")
    return {who: headers["Authorization"].removeprefix("Bearer ") for who, headers in made.items()}


async def answer(world: World, call: Call, cookie: str | None, **fields: str) -> tuple[int, str, str]:
    """Status, where it leads, and what it says."""
    method, pattern = call
    headers = {"Accept": "text/html", "Origin": world.url, "Sec-Fetch-Site": "same-origin"}
    if cookie is not None:
        headers["Cookie"] = f"{CONSOLE}={cookie}"
    sent: dict[str, Any] = {"data": fields} if method == "POST" else {"params": REFUSED_FILTER}
    path = pattern.format(**THERE_IS_NO)
    async with world.http.request(
        method, f"{world.url}{path}", headers=headers, allow_redirects=False, **sent
    ) as found:
        return found.status, found.headers.get("Location", ""), await found.text()


async def token(world: World, cookie: str) -> str:
    found = FORM_TOKEN.search((await answer(world, ("GET", "/operations/providers"), cookie))[2])
    assert found is not None
    return found[1]


@each_page
@pytest.mark.parametrize("who", ["nobody", "forged", "apps"])
async def test_whoever_is_not_signed_in_to_the_console_is_led_to_the_sign_in(
    world: World, cookies: dict[str, str], call: Call, who: str
):
    cookie = {"nobody": None, "forged": "gp_AAAA"}.get(who, cookies.get(who))
    status, where, _ = await answer(world, call, cookie)
    assert status == 303
    assert "/login?return_to=" in where


@each_page
@pytest.mark.parametrize("role", ["user", "admin"])
async def test_no_other_role_sees_a_page_or_sends_a_form(world: World, cookies: dict[str, str], call: Call, role: str):
    status, _, text = await answer(world, call, cookies[role])
    assert status == 403
    assert "This console is not for you" in text


@each_page
async def test_an_operator_sees_every_page(world: World, cookies: dict[str, str], call: Call):
    status, _, text = await answer(world, call, cookies["operator"])
    if call[0] == "POST":  # it bears no token
        assert (status, "This form is older" in text) == (403, True)
    else:
        missing = "{" in call[1] and status == 404
        refused = call[1] in ("/operations/live/steps",) and status == 400
        assert status == 200 or missing or refused, (status, text[:300])


@each_form
async def test_a_form_with_another_sessions_token_is_refused(world: World, cookies: dict[str, str], call: Call):
    status, _, text = await answer(world, call, cookies["operator"], form_token=await token(world, cookies["long ago"]))
    assert (status, "This form is older" in text) == (403, True)


@each_page
async def test_what_the_api_asks_a_fresh_sign_in_for_the_console_does_too(
    world: World, cookies: dict[str, str], call: Call
):
    status, _, text = await answer(world, call, cookies["long ago"], form_token=await token(world, cookies["long ago"]))
    asked = "younger than 15 minutes" in text and "Sign in again" in text
    assert ((status, asked) == (401, True)) == PAGES[call].fresh, (status, text[:300])
