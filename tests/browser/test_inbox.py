"""The simulator's inbox, the first page that a newcomer sees."""

import re
from collections.abc import AsyncIterator
from contextlib import suppress

import aiosmtplib
import pytest_asyncio
from playwright.async_api import Page, expect
from twilio.base.exceptions import TwilioException

from deploy.simulator.server import Running, Settings, running
from tests.browser.chromium import Visitor, accessible, fits
from tests.integration.simulator.drivers import SID, TOKEN, mail, send

SMALL = {"viewport": {"width": 360, "height": 740}}
SIGN_IN = "http://127.0.0.1:1/login"


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Running]:
    async with running(Settings(SID, TOKEN, sign_in_url=SIGN_IN)) as served:
        yield served


async def opened(visitor: Visitor, simulator: Running, **options: object) -> Page:
    page = await visitor(**options)
    await page.goto(simulator.http_url)
    await expect(page.get_by_role("status")).to_have_text("live")
    return page


async def test_it_says_what_to_do_first_and_what_came_by_itself(simulator: Running, visitor: Visitor):
    page = await opened(visitor, simulator)
    await expect(page.get_by_text("No SMS yet")).to_be_visible()
    await expect(page.get_by_role("link", name="Sign in")).to_have_attribute("href", SIGN_IN)
    await send(simulator.http_url)
    phone = page.get_by_role("region", name="Phone")
    await expect(phone.get_by_text("Your code is 123456")).to_be_visible()
    await expect(phone.get_by_role("button", name="Copy 123456")).to_be_visible()
    await page.get_by_role("button", name="Clear both").click()
    await expect(page.get_by_text("No SMS yet")).to_be_visible()


async def test_a_fault_is_chosen_by_the_keyboard_and_what_was_refused_says_so(simulator: Running, visitor: Visitor):
    page = await opened(visitor, simulator)
    await page.get_by_role("button", name="Clear both").focus()
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("SMS provider")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_label("SMS provider")).to_have_value("refuse")
    await expect(page.locator("section.faulty")).to_be_visible()
    with suppress(TwilioException):
        await send(simulator.http_url)
    await expect(page.get_by_text(re.compile("Not taken: refused"))).to_be_visible()


async def test_a_mail_is_seen_as_a_mail_program_shows_it_and_no_script_of_it_runs(simulator: Running, visitor: Visitor):
    await aiosmtplib.send(mail(), hostname="127.0.0.1", port=simulator.smtp_port, start_tls=False)
    page = await opened(visitor, simulator)
    link = page.get_by_role("link", name="As a mail program shows it")
    letter = await visitor(page)
    answer = await letter.request.get(simulator.http_url + str(await link.get_attribute("href")))
    assert "<p>Your code is" in await answer.text()
    policy = answer.headers["content-security-policy"]
    assert policy.endswith("sandbox")
    assert "script-src" not in policy


async def test_a_lost_connection_is_said_and_mends_itself(simulator: Running, visitor: Visitor):
    page = await visitor()
    await page.route("**/messages/stream", lambda route: route.abort())
    await page.goto(simulator.http_url)
    await expect(page.get_by_role("status")).to_have_text("no answer; trying again …")
    await page.route("**/messages", lambda route: route.abort())
    await page.get_by_role("button", name="Clear both").click()
    await expect(page.get_by_role("alert")).to_have_text("Nothing was cleared. The simulator does not answer.")
    await page.unroute("**/messages/stream")
    await page.unroute("**/messages")
    await page.reload()
    await expect(page.get_by_role("status")).to_have_text("live")
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_it_fits_360_pixels_and_axe_finds_nothing_empty_or_full(simulator: Running, visitor: Visitor):
    page = await opened(visitor, simulator, **SMALL)
    await expect(page.get_by_text("No SMS yet")).to_be_visible()
    await fits(page)
    await accessible(page)
    for _ in range(8):
        await send(simulator.http_url)
        await aiosmtplib.send(mail(), hostname="127.0.0.1", port=simulator.smtp_port, start_tls=False)
    async with page.expect_response(lambda answer: answer.request.method != "GET"):
        await page.get_by_label("SMS provider").select_option("refuse")
    with suppress(TwilioException):
        await send(simulator.http_url)
    await expect(page.get_by_text(re.compile("Not taken"))).to_be_visible()
    await fits(page)
    await accessible(page)
    await page.set_viewport_size({"width": 1280, "height": 800})
    await accessible(page)
