"""Walks the account console's pages as the who table is walked: each role, a stale sign-in, another account, nobody."""

import re
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from aiohttp import FormData

from services.login_gateway.pages.account import STANDS_FOR, rights
from services.login_gateway.who import RIGHTS
from services.platform.clock import new_id
from services.platform.cookies import CONSOLE

OPEN = {("GET", "/account/cleared")}  # what it shows is sealed
WHOLE = ("/account/users/import",)  # a file


class Page(NamedTuple):
    status: int
    text: str
    headers: Any


class Visitor:
    def __init__(self, gateway: Any, headers: dict[str, str]) -> None:
        self._gateway = gateway
        token = headers["Authorization"].removeprefix("Bearer ") if headers else ""
        self._headers = {"Cookie": f"{CONSOLE}={token}", "Accept": "text/html", "Origin": gateway.base}

    async def __call__(self, method: str, path: str, form: Any = None) -> Page:
        call = self._gateway._http.request
        sent = FormData(form, default_to_multipart=path in WHOLE) if form else form
        options: dict[str, Any] = {"headers": self._headers, "data": sent, "allow_redirects": False}
        async with call(method, self._gateway.base + path, **options) as answer:
            return Page(answer.status, await answer.text(), answer.headers)

    async def form_token(self) -> str:
        found = re.search(r'name="form_token" value="([^"]+)"', (await self("GET", "/account/users")).text)
        assert found is not None
        return found[1]


def address(path: str, user: str) -> str:
    return path.format(user=user, login_id=new_id())


pages = pytest.mark.parametrize("page", sorted(STANDS_FOR), ids=" ".join)


def test_every_page_is_in_the_table_and_stands_for_a_call(gateway):
    routes = {(route.method, route.resource.canonical) for route in gateway.app.router.routes()}
    found = {call for call in routes if call[1].startswith("/account") and call[0] != "HEAD"}
    assert found - OPEN == STANDS_FOR.keys() == rights().keys()
    assert set(STANDS_FOR.values()) <= RIGHTS.keys()


@pages
async def test_nobody_goes_to_the_sign_in(gateway, page):
    answer = await Visitor(gateway, {})(page[0], address(page[1], str(new_id())), {})
    assert (answer.status, answer.headers["Location"].partition("=")[0]) == (303, "/login?return_to")


@pages
async def test_only_administrators_are_let_in(gateway, account, page):
    for role in ("user", "operator"):
        who = Visitor(gateway, gateway.user(account["account_id"], role))
        answer = await who(page[0], address(page[1], str(new_id())), {})
        assert (answer.status, "This console is not for you" in answer.text) == (403, True), role


@pytest.mark.parametrize("page", sorted(call for call in STANDS_FOR if call[0] == "POST"), ids=" ".join)
async def test_no_form_is_taken_without_its_token(gateway, account, page):
    user = await gateway.make(account)
    who = Visitor(gateway, gateway.user(account["account_id"]))
    for form in ({"username": "x"}, {"form_token": "x"}):
        answer = await who("POST", address(page[1], user["user_id"]), form)
        assert (answer.status, "older than your sign-in" in answer.text) == (403, True)
    assert (await gateway.audit(user["user_id"]))[-1]["action"] == "user.created"


FRESH = sorted(page for page, call in STANDS_FOR.items() if RIGHTS[call].fresh and page[0] == "POST")  # type: ignore[union-attr]


@pytest.mark.parametrize("page", FRESH, ids=" ".join)
async def test_what_needs_a_fresh_sign_in_says_so_and_leads_there(gateway, account, page):
    who = Visitor(gateway, gateway.user(account["account_id"], age=timedelta(minutes=16)))
    form = {"form_token": await who.form_token(), "username": "somebody"}
    answer = await who("POST", address(page[1], str(new_id())), form)
    assert (answer.status, "younger than 15 minutes" in answer.text) == (401, True)
    assert "/login?return_to=" in answer.text


async def test_changing_contacts_with_a_stale_sign_in_keeps_what_was_typed_and_asks_for_a_fresh_one(gateway, account):
    user = await gateway.make(account)
    who = Visitor(gateway, gateway.user(account["account_id"], age=timedelta(minutes=16)))
    at = f"/account/users/{user['user_id']}"
    assert "Changing anything but the name asks for a sign-in" in (await who("GET", at)).text
    same = {"form_token": await who.form_token(), "username": user["username"], "role": "user", "kind": "person"}
    named = await who("POST", at, same | {"name": "Anna", "version": "1"})
    assert (named.status, named.headers["Location"]) == (303, f"{at}?done=saved")
    answer = await who("POST", at, same | {"name": "Anna", "phone": "+447400123456"})
    assert (answer.status, 'value="+447400123456"' in answer.text) == (401, True)
    assert "return_to=/account" in answer.text
    assert (await gateway("GET", f"/v1/accounts/{account['account_id']}/users/{user['user_id']}")).data[
        "phone_masked"
    ] is None


async def test_a_form_from_before_the_fresh_sign_in_is_shown_again_and_written_when_it_is_sent_once_more(
    gateway, account
):
    user, stale, fresh = await gateway.make(account), *(gateway.user(account["account_id"]) for _ in range(2))
    before, now = Visitor(gateway, stale), Visitor(gateway, fresh)
    at = f"/account/users/{user['user_id']}"
    form = {"username": user["username"], "role": "user", "kind": "person", "name": "Änne", "version": "1"}
    shown = await now("POST", at, form | {"form_token": await before.form_token()})
    assert (shown.status, 'value="Änne"' in shown.text, "older than your sign-in" in shown.text) == (403, True, True)
    token = re.search(r'name="form_token" value="([^"]+)"', shown.text)
    assert token is not None
    assert (await now("POST", at, form | {"form_token": token[1]})).status == 303


@pytest.mark.parametrize("page", sorted(call for call in STANDS_FOR if "{user}" in call[1]), ids=" ".join)
async def test_users_of_other_accounts_do_not_exist(gateway, account, page):
    other = await gateway.account()
    theirs, missing = (await gateway.make(other))["user_id"], str(new_id())
    who = Visitor(gateway, gateway.user(account["account_id"]))
    form = {"form_token": await who.form_token(), "username": "x", "role": "user", "kind": "person"}
    found = [await who(page[0], address(page[1], user), form) for user in (theirs, missing)]
    assert [answer.status for answer in found] in ([404, 404], [503, 503])  # here is no session store to end one at
    assert (await gateway.audit(theirs))[-1]["action"] == "user.created"


async def test_an_operator_is_edited_on_the_command_line_only_and_the_page_says_so(gateway, account):
    body = {"role": "operator", "email": "o@example.com", "two_factor": {"email": True}}
    user = await gateway.make(account, **body)
    who = Visitor(gateway, gateway.user(account["account_id"]))
    form = {"username": "x", "role": "operator", "kind": "person", "email_on": "on"}
    answer = await who("POST", f"/account/users/{user['user_id']}", form | {"form_token": await who.form_token()})
    assert (answer.status, "An operator is made and edited only by" in answer.text) == (403, True)


async def test_what_was_searched_for_is_sealed_and_a_forged_search_shows_everybody(gateway, account):
    user, who = await gateway.make(account), Visitor(gateway, gateway.user(account["account_id"]))
    form = {"form_token": await who.form_token(), "search": user["username"]}
    answer = await who("POST", "/account/users/find", form)
    assert (answer.status, user["username"] in answer.headers["Location"]) == (303, False)
    found = await who("GET", answer.headers["Location"])
    assert found.text.count('<th scope="row">') == 1
    for forged in ("x", answer.headers["Location"].partition("=")[2][:-2], "ü"):
        assert 'value=""' in (await who("GET", f"/account/users?find={forged}")).text


async def test_without_the_session_store_the_page_of_a_user_is_shown_without_sessions(gateway, account):
    user, who = await gateway.make(account), Visitor(gateway, gateway.user(account["account_id"]))
    answer = await who("GET", f"/account/users/{user['user_id']}")
    assert (answer.status, "They cannot be shown at the moment." in answer.text) == (200, True)
