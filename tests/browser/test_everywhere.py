"""The sign-in for everybody: by keyboard, without JavaScript, on a small screen, read aloud, on two host names."""

import asyncio
import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.chromium import Visitor, accessible, fits
from tests.browser.site import PASSWORD, Person, Site
from tests.browser.test_sign_in import signed_in

SMALL = {"viewport": {"width": 360, "height": 740}}


async def test_the_keyboard_is_enough_from_the_password_to_signing_out(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True)
    await page.goto(site.address())
    await expect(page.get_by_label("Username")).to_be_focused()
    await page.keyboard.type(who.username)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Code with")).to_be_focused()
    await page.keyboard.type(await site.code(who))
    await signed_in(page)
    for _ in range(2):  # past the link that skips to the content
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Sign out?")).to_be_visible()
    for _ in range(2):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()


async def test_what_follows_the_code_is_reached_by_the_keyboard_in_the_order_of_the_page(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True, email=True)
    await site.sign_in(page, who)
    await site.age(who, "last_send_at", 40)
    await expect(page.get_by_role("button", name="Send the SMS again")).to_be_enabled()
    reached = []
    await page.get_by_label("Code with").focus()
    for _ in range(4):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.textContent.trim()"))
    assert reached == ["Continue", "Send the SMS again", "Send by e-mail instead", "Sign in as somebody else"]


async def test_without_javascript_a_reload_shows_the_state_and_sends_nothing(site: Site, visitor: Visitor):
    page, who = await visitor(java_script_enabled=False), await site.person(sms=True)
    await site.fault(who, "refuse", code=21614)
    await site.sign_in(page, who)
    await expect(page.get_by_text("A reload sends nothing.")).to_be_visible()
    code = await site.code(who, "email")
    told = page.get_by_text("The SMS could not be delivered. We e-mailed")
    while not await told.is_visible():
        await page.reload()
        await asyncio.sleep(0.1)
    await page.get_by_role("button", name="Send the SMS again").click()
    await expect(page.get_by_role("alert")).to_have_text(re.compile("can be sent again in"))
    await page.reload()
    assert (await site.messages(who), await site.messages(who, "email")) == (0, 1)
    assert (await site.login_of(who))["sends"] == 1
    await page.get_by_label("Code with").fill(f"{code[:3]} {code[3:]}")
    await page.get_by_role("button", name="Continue").click()
    await signed_in(page)


async def test_going_back_and_sending_the_first_form_again_sends_no_second_code(site: Site, visitor: Visitor):
    page, who = await visitor(java_script_enabled=False), await site.person(sms=True)
    await page.goto(site.address())
    await page.get_by_label("Username").fill(who.username)
    await page.get_by_label("Password").fill(PASSWORD)
    once = await page.locator("input[name=once]").get_attribute("value")
    token = await page.locator("input[name=form_token]").get_attribute("value")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Code with")).to_be_visible()
    first = (await site.login_of(who))["login_id"]
    form = {"form_token": token, "once": once, "username": who.username, "password": PASSWORD, "account": site.account}
    headers = {"Origin": site.base}
    answer = await page.context.request.post(site.base + "/login", form=form, headers=headers)  # type: ignore[arg-type]
    assert answer.ok
    assert (await site.login_of(who))["login_id"] == first


async def shown(page: Page, heading: str) -> None:
    """A page as it came up: it fits a small screen, and axe finds nothing."""
    await expect(page.get_by_role("heading", name=heading)).to_be_visible()
    await fits(page)
    await accessible(page)


async def test_every_page_fits_360_pixels_and_axe_finds_nothing_light_and_dark(site: Site, visitor: Visitor):
    page, who = await visitor(**SMALL), await site.person(sms=True, email=True)
    await page.goto(site.address(return_to="https://evil.example"))
    await shown(page, "That did not work")
    await page.goto(site.base + "/login/nothing")
    await shown(page, "Not found")
    await page.goto(site.base + "/login/out")
    await shown(page, "You are signed out")
    await page.goto(site.base + "/login")  # which account is not known
    await shown(page, "Sign in")
    await site.sign_in(page, who, "wrong")
    await expect(page.get_by_role("alert")).to_be_visible()
    await shown(page, "Sign in")
    await site.sign_in(page, who)
    await shown(page, "Enter the code")
    await site.enter(page, "00000000"[: (await site.login_of(who))["digits"]])
    await expect(page.get_by_role("alert")).to_be_visible()
    await shown(page, "Enter the code")
    await site.age(who, "last_send_at", 40)
    await expect(page.get_by_role("button", name="Send the SMS again")).to_be_enabled()
    await shown(page, "Enter the code")
    await site.age(who, "expires_at", 400)
    await shown(page, "The code has expired")
    await site.sign_in(page, await site.person())
    await shown(page, "You are signed in")
    await page.goto(site.base + "/login/out")
    await shown(page, "Sign out?")


async def test_a_form_of_another_site_is_refused(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person()
    await page.goto(site.address())  # the browser holds our cookie
    forged = f"""<form method="post" action="{site.base}/login"><input name="username" value="{who.username}">
        <input name="password" value="{PASSWORD}"><button>Win</button></form>"""
    await page.route("http://evil.localhost/**", lambda route: route.fulfill(body=forged, content_type="text/html"))
    await page.goto("http://evil.localhost/")
    async with page.expect_response(site.base + "/login") as answer:
        await page.get_by_role("button", name="Win").click()
    assert (await answer.value).status == 403
    await expect(page.get_by_text("not from a page of this site")).to_be_visible()
    assert await site.login_of(who) is None


async def test_a_lost_connection_is_shown_and_mends_itself(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True)
    await page.route("**/login/events", lambda route: route.abort())
    await site.sign_in(page, who)
    await expect(page.get_by_text("The connection was lost.")).to_be_visible()
    await page.unroute("**/login/events")
    await expect(page.get_by_text("The connection was lost.")).to_be_hidden()
    await site.age(who, "expires_at", 400)
    await expect(page.get_by_role("heading", name="The code has expired")).to_be_visible()


async def test_a_form_of_a_sign_in_that_another_tab_replaced_tries_nothing_and_says_what_happened(
    site: Site, visitor: Visitor
):
    page, first, second = (
        await visitor(java_script_enabled=False),
        await site.person(sms=True),
        await site.person(sms=True),
    )
    await site.sign_in(page, first)
    await expect(page.get_by_label("Code with")).to_be_visible()
    other = await visitor(with_=page)
    await site.sign_in(other, second)
    await expect(other.get_by_label("Code with")).to_be_visible()
    await page.get_by_label("Code with").fill(await site.code(first))
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", name="Another sign-in was begun")).to_be_visible()
    await expect(page.get_by_text("No code is taken here any more, and none was tried.")).to_be_visible()
    await page.get_by_role("link", name="Show the newer sign-in").click()
    await expect(page.locator("#news")).to_contain_text(second.phone_masked)
    assert [(await site.login_of(who))["attempts"] for who in (first, second)] == [0, 0]


@pytest.mark.parametrize("by", ["the tab", "the stream"])
async def test_a_page_says_that_another_tab_began_another_sign_in_and_takes_no_code(
    site: Site, visitor: Visitor, by: str
):
    page, first, second = await visitor(), await site.person(sms=True), await site.person(sms=True)
    if by == "the stream":
        await page.add_init_script("window.BroadcastChannel = class extends EventTarget { postMessage() {} };")
    await page.route("**/login/events", lambda route: route.abort())
    await site.sign_in(page, first)
    await expect(page.locator("#news")).to_contain_text(first.phone_masked)
    other = await visitor(with_=page)
    await site.sign_in(other, second)
    await expect(other.get_by_label("Code with")).to_be_visible()
    if by == "the stream":
        await page.unroute("**/login/events")
    await expect(page.get_by_role("heading", name="Another sign-in was begun")).to_be_visible()
    await expect(page.get_by_role("alert")).to_contain_text("a browser finishes its newest one only")
    await expect(page.get_by_label("Code with")).to_be_hidden()
    await fits(page)
    await accessible(page)
    await site.enter(other, await site.code(second))  # which goes on
    await signed_in(other)


async def test_the_root_says_what_there_is_and_an_unknown_address_is_a_page(site: Site, visitor: Visitor):
    page = await visitor(**SMALL)
    await page.goto(site.base + "/")
    await shown(page, "Two-factor sign-in")
    await page.goto(site.base + "/nothing")
    await shown(page, "Not found")
    await page.get_by_role("link", name="To the start").click()
    await page.get_by_role("link", name="Account console").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_without_cookies_the_page_says_what_is_missing(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person()
    await page.goto(site.address())
    await page.context.clear_cookies()
    await page.get_by_label("Username").fill(who.username)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Your browser did not send our cookie")).to_be_visible()


@pytest.mark.parametrize("where", ["/login/code", "/login/done"])
async def test_whoever_has_no_sign_in_under_way_lands_at_its_beginning(site: Site, visitor: Visitor, where: str):
    page = await visitor()
    await page.goto(site.base + where)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def phone_only(site: Site) -> Person:
    return await site.person(sms=True, mail=False)


async def test_without_an_email_on_file_the_page_says_so(site: Site, visitor: Visitor):
    page, who = await visitor(), await phone_only(site)
    await site.fault(who, "refuse", code=21614)
    await site.sign_in(page, who)
    await expect(page.locator("#news")).to_contain_text("there is no e-mail address on file to send to instead")
