"""Signing in as people do it."""

import asyncio
import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.chromium import Visitor
from tests.browser.site import Site


async def signed_in(page: Page) -> None:
    await expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()


async def test_the_code_of_the_sms_signs_in_and_sends_itself_at_its_last_digit(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True)
    await site.sign_in(page, who)
    await expect(page.get_by_role("heading", name="Enter the code")).to_be_visible()
    await expect(page.locator("#news")).to_contain_text(who.phone_masked)
    await site.enter(page, await site.code(who))
    await signed_in(page)
    cookie = next(each for each in await page.context.cookies() if each["name"] == "__Host-gatepost")
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
    session = await site.story.becomes(await site.token(page), True)
    assert session["sub"] == who.user_id
    assert session["device"] == "Chrome on Linux"


async def test_the_page_tells_as_it_happens_that_the_sms_failed_and_an_email_went_out(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True, email=False)
    await site.fault(who, "hang")
    await site.sign_in(page, who)
    await expect(page.locator("#news")).to_have_text(f"Sending by SMS to {who.phone_masked}.")
    hidden = f"{who.email[0]}•••@•••" if who.email else ""
    await expect(page.locator("#news")).to_have_text(f"The SMS could not be delivered. We e-mailed {hidden}.")
    assert len(await page.evaluate("window.said")) >= 2  # on one and the same page
    await site.enter(page, await site.code(who, "email"))
    await signed_in(page)


async def test_an_email_that_is_on_is_shown_with_its_domain(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(email=True)
    await site.sign_in(page, who)
    await expect(page.locator("#news")).to_contain_text(f"We e-mailed {(who.email or '')[0]}•••@example.com.")


async def test_a_wrong_code_is_said_beside_its_field_and_kept_with_the_tries_left(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True)
    await site.sign_in(page, who)
    code = await site.code(who)
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
    await site.enter(page, wrong)
    field = page.get_by_label("Code with")
    await expect(page.get_by_role("alert")).to_have_text("The code is wrong. Tries left: 4.")
    await expect(field).to_have_value(wrong)
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("#ways")).to_contain_text("4 tries left")
    await page.reload()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await expect(page.locator("#ways")).to_contain_text("4 tries left")
    await page.get_by_label("Code with").fill(f" {code[:3]}-{code[3:]} ")  # as pasted
    await signed_in(page)


async def test_enter_after_the_field_has_sent_itself_costs_no_second_try(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True)
    await site.sign_in(page, who)
    code = await site.code(who)
    await site.enter(page, f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}")
    await expect(page.get_by_role("alert")).to_have_text("The code is wrong. Tries left: 4.")
    for _ in range(3):
        await page.keyboard.press("Enter")
    await page.get_by_label("Code with").fill(code)
    await signed_in(page)
    assert (await site.login_of(who))["attempts"] == 2  # the wrong one, and the right one


async def test_five_wrong_codes_end_the_sign_in_and_the_page_says_what_to_do(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True)
    await site.sign_in(page, who, return_to="/account/users")
    code = await site.code(who)
    for step in range(1, 6):
        await page.get_by_label("Code with").fill(f"{(int(code) + step) % 10 ** len(code):0{len(code)}}")
        if step < 5:
            await expect(page.get_by_role("alert")).to_contain_text(f"Tries left: {5 - step}")
    await expect(page.get_by_role("heading", name="Too many wrong codes")).to_be_visible()
    again = page.get_by_role("link", name="Sign in again")
    assert "return_to=/account/users" in str(await again.get_attribute("href"))


async def test_a_code_that_expires_while_one_waits_is_told_at_once(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True)
    await site.sign_in(page, who)
    await site.code(who)
    await site.age(who, "expires_at", 400)
    await expect(page.get_by_role("heading", name="The code has expired")).to_be_visible()
    await expect(page.get_by_label("Code with")).to_have_count(0)
    await page.get_by_role("link", name="Sign in again").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_the_code_can_be_sent_again_when_its_seconds_are_over(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True, email=True)
    await site.sign_in(page, who)
    first = await site.code(who)
    again = page.get_by_role("button", name="Send the SMS again")
    await expect(again).to_be_disabled()
    await expect(page.locator("[data-wait]")).to_have_text(re.compile(r"It can be sent again in 0:[0-3]\d\."))
    await site.age(who, "last_send_at", 40)
    await expect(again).to_be_enabled()
    await expect(page.get_by_role("button", name="Send by e-mail instead")).to_be_enabled()
    await again.click()
    await expect(again).to_be_disabled()
    while await site.messages(who) < 2:
        await page.wait_for_timeout(100)
    assert await site.code(who) == first
    await site.age(who, "last_send_at", 70)
    await page.get_by_role("button", name="Send by e-mail instead").click()
    await expect(page.locator("#news")).to_contain_text("We e-mailed")
    await site.enter(page, await site.code(who, "email"))
    await signed_in(page)


async def test_somebody_without_a_second_factor_is_asked_for_no_code(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person()
    await site.sign_in(page, who)
    await signed_in(page)
    assert (await site.story.becomes(await site.token(page), True))["acr"] == "urn:gatepost:acr:pwd"


async def test_a_wrong_password_is_said_and_the_username_is_kept(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person()
    await site.sign_in(page, who, "not the password")
    await expect(page.get_by_role("alert")).to_have_text("Username or password is wrong.")
    await expect(page.get_by_label("Username")).to_have_value(who.username)
    await expect(page.get_by_label("Password")).to_be_focused()
    await page.reload()
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_signing_in_ends_the_session_that_the_browser_had(site: Site, visitor: Visitor):
    page, first, second = await visitor(), await site.person(), await site.person()
    await site.sign_in(page, first)
    await signed_in(page)
    before = await site.token(page)
    await site.story.becomes(before, True)
    await site.sign_in(page, second)
    await signed_in(page)
    assert (await site.story.becomes(await site.token(page), True))["sub"] == second.user_id
    assert await site.story.introspect(before) == {"active": False}


async def test_signing_out_ends_the_session_and_forgets_the_cookie(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person()
    await site.sign_in(page, who)
    await signed_in(page)
    token = await site.token(page)
    await site.story.becomes(token, True)
    await page.get_by_role("link", name="Sign out").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    assert "__Host-gatepost" not in {each["name"] for each in await page.context.cookies()}
    assert await site.story.introspect(token) == {"active": False}


async def test_a_console_gets_a_session_of_its_own_for_twelve_hours(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True, role="admin")
    await site.come_in(page, who, return_to="/account/users")
    assert page.url == f"{site.base}/account/users"
    token = await site.token(page, "__Host-gatepost-console")
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/v1/accounts/{site.account_id}"
    status, _ = await site.api.call("gateway", "GET", path, authenticated=False, headers=headers)
    assert status == 200
    names = {each["name"] for each in await page.context.cookies()}
    assert "__Host-gatepost" not in names


@pytest.mark.parametrize("return_to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"])
async def test_one_is_never_sent_on_to_somewhere_else(site: Site, visitor: Visitor, return_to: str):
    page = await visitor()
    answer = await page.goto(site.address(return_to=return_to))
    assert answer is not None
    assert answer.status == 400
    await expect(page.get_by_text("an address that this sign-in does not know")).to_be_visible()


async def test_a_second_tab_sees_that_the_sign_in_is_complete(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True)
    await site.sign_in(page, who)
    await expect(page.get_by_label("Code with")).to_be_visible()
    second = await visitor(with_=page)
    await second.goto(site.base + "/login/code")
    await site.enter(page, await site.code(who))
    await signed_in(page)
    await expect(second.get_by_role("heading", name="This sign-in is complete")).to_be_visible()
    await second.get_by_role("link", name="Go on").click()
    await signed_in(second)


async def test_of_three_tabs_the_first_goes_on_when_it_is_looked_at(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True)
    followed: list[str] = []
    page.on("request", lambda request: followed.append(request.url) if request.url.endswith("/events") else None)
    await site.sign_in(page, who)
    for _ in range(2):
        tab = await visitor(with_=page)
        await tab.goto(site.base + "/login/code")
        await expect(tab.get_by_label("Code with")).to_be_visible()
    looks = "document.dispatchEvent(new Event('visibilitychange'))"  # does nothing until the first one gave way
    deadline = asyncio.get_running_loop().time() + 20
    while len(followed) < 2:
        assert asyncio.get_running_loop().time() < deadline
        await page.evaluate(looks)
        await asyncio.sleep(0.05)
    await site.age(who, "expires_at", 400)
    await expect(page.get_by_role("heading", name="The code has expired")).to_be_visible()
