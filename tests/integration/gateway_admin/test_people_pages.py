"""Passwords and deletion in the console; and what was typed before a fresh sign-in was asked for."""

import re
from datetime import timedelta
from typing import Any

import pytest

from services.platform.cookies import CONSOLE, TYPED
from tests.integration.gateway_admin.conftest import PASSWORD
from tests.integration.gateway_admin.test_pages import Page, Visitor

NEW = "another good phrase"


def hidden(page: Page, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, page.text
    return found[1]


class Desk:
    """An administrator at one page of a user."""

    def __init__(self, gateway: Any, account: Any, user: Any, what: str, **age: Any) -> None:
        self.gateway, self.account, self.user = gateway, account, user
        self.at = f"/account/users/{user['user_id']}/{what}"
        self.who = Visitor(gateway, gateway.user(account["account_id"], **age))

    async def send(self, **form: str) -> Page:
        page = await self.who("GET", self.at)
        fields = {name: hidden(page, name) for name in ("form_token", "version") if f'name="{name}"' in page.text}
        return await self.who("POST", self.at, fields | form)

    async def signs_in(self, password: str) -> int:
        body = {"account": self.account["name"], "username": self.user["username"], "password": password}
        return int((await self.gateway("POST", "/v1/logins", body, who=None)).status)


@pytest.fixture
async def password(gateway: Any, account: Any) -> Desk:
    return Desk(gateway, account, await gateway.make(account), "password")


@pytest.fixture
async def deletion(gateway: Any, account: Any) -> Desk:
    return Desk(gateway, account, await gateway.make(account), "delete")


async def test_a_password_that_was_typed_twice_counts_at_once_and_ends_the_sessions(password):
    epoch = await password.gateway.epoch(password.user["user_id"])
    answer = await password.send(password=NEW, password_again=NEW, then="typed")
    assert (answer.status, NEW in answer.text) == (200, False)
    assert [await password.signs_in(each) for each in (PASSWORD, NEW)] == [401, 200]
    assert await password.gateway.epoch(password.user["user_id"]) > epoch
    audited = (await password.gateway.audit(password.user["user_id"]))[-1]
    assert (audited["action"], audited["details"]["fields"]) == ("user.changed", ["password"])


async def test_a_password_that_is_made_is_shown_once_and_sending_the_form_again_sets_nothing(password):
    page = await password.who("GET", password.at)
    form = {"form_token": hidden(page, "form_token"), "version": hidden(page, "version"), "then": "made"}
    answer = await password.who("POST", password.at, form)
    made = re.search(r'id="made"[^>]*value="([\w-]{20})"', answer.text)
    assert made is not None
    assert answer.headers["Cache-Control"] == "no-store"
    assert await password.signs_in(made[1]) == 200
    again = await password.who("POST", password.at, form)
    assert (again.status, "perhaps by sending it before" in again.text) == (412, True)
    assert await password.signs_in(made[1]) == 200


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"password": NEW, "password_again": "x"}, "password_again", "The two are not the same"),
        ({}, "password", "Type the new password, or have one made."),
        ({"password": "short", "password_again": "short"}, "password", "at least 8 characters"),
        ({"password": "a" * 9, "password_again": "a" * 9}, "password", "too easy to guess"),
    ],
)
async def test_a_password_that_is_not_taken_is_said_beside_its_field_and_not_shown_again(password, form, field, words):
    answer = await password.send(**form)
    assert answer.status == 422
    told = re.search(rf'<p class="wrong" role="alert" id="{field}-wrong">([^<]*)', answer.text)
    assert told is not None
    assert words in told[1]
    assert NEW not in answer.text
    assert await password.signs_in(PASSWORD) == 200


async def test_an_operators_password_is_not_set_here(gateway, account):
    body = {"role": "operator", "email": "o@example.com", "two_factor": {"email": True}}
    desk = Desk(gateway, account, await gateway.make(account, **body), "password")
    answer = await desk.send(password=NEW, password_again=NEW)
    assert (answer.status, "An operator is made and edited only by" in answer.text) == (403, True)


async def test_a_user_is_deleted_once_their_name_was_typed(deletion):
    refused = await deletion.send(confirm="somebody")
    assert (refused.status, "That is not the username" in refused.text) == (400, True)
    assert 'value="somebody"' in refused.text
    assert await deletion.signs_in(PASSWORD) == 200
    done = await deletion.send(confirm=f" {deletion.user['username']} ")
    assert (done.status, done.headers["Location"].partition("-")[0]) == (303, "/account/users?done=deleted")
    assert "The user is deleted" in (await deletion.who("GET", done.headers["Location"])).text
    path = f"/v1/accounts/{deletion.account['account_id']}/users/{deletion.user['user_id']}"
    assert (await deletion.gateway("GET", path)).status == 404
    assert (await deletion.gateway.audit(deletion.user["user_id"]))[-1]["action"] == "user.deleted"
    assert (await deletion.who("GET", deletion.at)).status == 404


class Stale:
    """Somebody whose sign-in is too old, then a fresh one of the same browser: the first one's cookie is kept."""

    def __init__(self, gateway: Any, account: Any) -> None:
        self._gateway = gateway
        self.headers = gateway.user(account["account_id"], age=timedelta(minutes=16))
        self.before = Visitor(gateway, self.headers)
        self.typed = ""

    async def send(self, path: str, **form: str) -> Page:
        page = await self.before("GET", path)
        version = {"version": hidden(page, "version")} if 'name="version"' in page.text else {}
        sent = {"form_token": hidden(page, "form_token")} | version | form
        self.before._headers["Referer"] = f"{self._gateway.base}{path}"
        answer = await self.before("POST", path, sent)
        self.typed = answer.headers.get("Set-Cookie", "").partition(f"{TYPED}=")[2].partition(";")[0]
        return answer

    async def back(self, path: str, other: bool = False) -> Page:
        """The page, after signing in again; as somebody else."""
        token = self.headers["Authorization"].removeprefix("Bearer ")
        old = self._gateway._tokens[token]
        fresh = self._gateway.user(old.account_id)
        if not other:
            self._gateway._tokens[fresh["Authorization"].removeprefix("Bearer ")] = old._replace(
                auth_time=self._gateway._tokens[fresh["Authorization"].removeprefix("Bearer ")].auth_time
            )
        now = Visitor(self._gateway, fresh)
        now._headers["Cookie"] += f"; {TYPED}={self.typed}"
        return await now("GET", path)


async def test_what_was_typed_comes_along_over_a_fresh_sign_in_and_only_to_whoever_typed_it(gateway, account):
    user, who = await gateway.make(account), Stale(gateway, account)
    at = f"/account/users/{user['user_id']}"
    form = {"username": user["username"], "role": "user", "kind": "person", "phone": "+447400123456", "sms": "on"}
    refused = await who.send(at, **form)
    assert refused.status == 401
    notices = re.findall(r'<p class="notice[^>]*>(.*?)</p>', refused.text)
    assert [each for each in notices if "15 minutes" in each] == [
        each for each in notices if "<b>Nothing was saved.</b>" in each and "with what you typed" in each
    ]  # one notice
    assert "447400123456" not in who.typed
    back = await who.back(at)
    assert "what you typed is here. Nothing of it is saved yet." in back.text
    assert 'value="+447400123456"' in back.text
    assert f'{TYPED}=""' in back.headers["Set-Cookie"]
    for elsewhere in (await who.back(at, other=True), await who.back("/account/users/new")):
        assert "447400123456" not in elsewhere.text
        assert "what you typed is here" not in elsewhere.text


async def test_passwords_do_not_come_along_and_the_notice_does_not_say_so(gateway, account):
    user, who = await gateway.make(account), Stale(gateway, account)
    refused = await who.send(f"/account/users/{user['user_id']}/password", password=NEW, password_again=NEW)
    assert (refused.status, who.typed) == (401, "")
    assert "then do it once more" in refused.text
    assert NEW not in refused.text
    added = await who.send("/account/users/new", username="anna", role="user", kind="person", password=NEW)
    assert (added.status, "with what you typed" in added.text) == (401, True)
    back = await who.back("/account/users/new")
    assert ('value="anna"' in back.text, NEW in back.text) == (True, False)


async def test_the_address_of_a_form_leads_to_its_page(gateway, account):
    answer = await Visitor(gateway, gateway.user(account["account_id"]))("GET", "/account/general/clear")
    assert (answer.status, answer.headers["Location"]) == (303, "/account/general")
    assert CONSOLE not in answer.headers.get("Set-Cookie", "")
