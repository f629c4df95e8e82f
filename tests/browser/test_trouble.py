"""Database, broker or session store away, while somebody signs in or out."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import unused_port
from playwright.async_api import expect

from tests.browser.chromium import Visitor
from tests.browser.consoles import administrator, page_of, user_of
from tests.browser.gateways import gateway
from tests.browser.site import PASSWORD, Site
from tests.browser.test_sign_in import signed_in
from tests.e2e.test_outages import frozen
from tests.integration.gateway_login.world import Road


@pytest_asyncio.fixture
async def cut_off(site: Site, tmp_path: Path) -> AsyncIterator[tuple[Site, Road]]:
    """A gateway whose way to Postgres can be closed."""
    port = unused_port()
    async with Road.to(site.stack.dsn("gateway")) as road:
        file = tmp_path / "dsn"
        file.write_text(road.dsn)
        own = {"GATEPOST_DATABASE_FILE": str(file), "GATEPOST_PUBLIC_URL": f"http://127.0.0.1:{port}"}
        async with gateway(site, port, **own) as base:
            yield Site(site.stack, site.story, site.account, site.account_id, base), road


async def test_without_the_database_every_step_says_so_and_goes_on_when_it_is_back(
    cut_off: tuple[Site, Road], visitor: Visitor
):
    (there, road), page = cut_off, await visitor()
    who = await there.person(sms=True)
    await road.refuse()
    await there.sign_in(page, who)
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was sent: the server does not answer")
    await expect(page.get_by_label("Username")).to_have_value(who.username)
    await expect(page.get_by_label("Password")).to_have_value(PASSWORD)
    await road.accept()
    await expect(page.get_by_role("alert")).to_have_text("The server answers again: send it now.")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Code with")).to_be_visible()
    code = await there.code(who)
    await road.refuse()
    await expect(page.get_by_text("The connection was lost.")).to_be_visible()
    await there.enter(page, code)
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was sent")
    await road.accept()
    await expect(page.get_by_role("alert")).to_have_text("The server answers again: send it now.")
    await expect(page.get_by_label("Code with")).to_have_value(code)
    await page.get_by_role("button", name="Continue").click()
    await signed_in(page)


async def test_without_the_database_and_javascript_what_was_typed_is_kept_too(
    cut_off: tuple[Site, Road], visitor: Visitor
):
    (there, road), page = cut_off, await visitor(java_script_enabled=False)
    who = await there.person(sms=True)
    await road.refuse()
    await there.sign_in(page, who)
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was sent.")
    await expect(page.get_by_label("Username")).to_have_value(who.username)
    await road.accept()
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Code with")).to_be_visible()
    code = await there.code(who)
    await road.refuse()
    await page.get_by_label("Code with").fill(code)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("This page tries again by itself")).to_be_visible()
    await road.accept()
    await expect(page.get_by_role("alert")).to_contain_text("Send it again in a few seconds.")
    await expect(page.get_by_label("Code with")).to_have_value(code)
    await page.get_by_role("button", name="Continue").click()
    await signed_in(page)


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "unscripted"])
async def test_a_form_of_the_console_without_the_database_says_that_nothing_was_saved_and_keeps_what_was_typed(
    cut_off: tuple[Site, Road], visitor: Visitor, script: bool
):
    there, road = cut_off
    (page, _), who = await administrator(there, visitor, java_script_enabled=script), await there.person()
    await page.goto(page_of(there, who))
    await page.get_by_label("Name", exact=True).fill("Anna Ångström")
    await road.refuse()
    await page.get_by_role("button", name="Save and force login").click()
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was sent" if script else "Nothing was saved")
    await road.accept()
    if script:
        await expect(page.get_by_role("alert")).to_have_text("The server answers again: send it now.")
        await expect(page.get_by_label("Name", exact=True)).to_have_value("Anna Ångström")
        await page.get_by_role("button", name="Save and force login").click()
    else:
        await page.get_by_role("button", name="Send it again").click()
    await expect(page.get_by_role("status").first).to_contain_text("All sessions of this user are over")
    assert (await user_of(there, who))["name"] == "Anna Ångström"


async def test_a_form_that_is_sent_while_the_gateway_restarts_keeps_what_was_typed(site: Site, visitor: Visitor):
    port, page, who = unused_port(), await visitor(), await site.person(sms=True)
    own = {"GATEPOST_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    async with gateway(site, port, **own) as base:
        there = Site(site.stack, site.story, site.account, site.account_id, base)
        await page.goto(there.address())
        await page.get_by_label("Username").fill(who.username)
        await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was sent: the server does not answer")
    async with gateway(site, port, **own):
        await expect(page.get_by_role("alert")).to_have_text("The server answers again: send it now.")
        await expect(page.get_by_label("Username")).to_have_value(who.username)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_label("Code with")).to_be_visible()


async def test_a_session_that_cannot_be_ended_at_the_moment_is_not_called_ended(site: Site, visitor: Visitor):
    port, page, who = unused_port(), await visitor(), await site.person()
    nobody = f"http://127.0.0.1:{unused_port()}"
    own = {"GATEPOST_PUBLIC_URL": f"http://127.0.0.1:{port}", "GATEPOST_SESSION_STORE_URL": nobody}
    async with gateway(site, port, **own) as base:
        await Site(site.stack, site.story, site.account, site.account_id, base).sign_in(page, who)
        await signed_in(page)
        token = await site.token(page)
        await page.get_by_role("link", name="Sign out").click()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("alert")).to_contain_text("You are still signed in")
        assert await site.token(page) == token
        await site.story.becomes(token, True)


async def test_with_kafka_away_the_page_says_that_the_code_is_queued_and_then_that_it_went_out(
    site: Site, visitor: Visitor
):
    page, who = await visitor(), await site.person(sms=True)
    with frozen(site.stack, "kafka"):
        await site.sign_in(page, who)
        await expect(page.locator("#news")).to_contain_text("the code is queued and goes out by itself")
    await expect(page.locator("#news")).to_contain_text(
        re.compile(r"We sent an SMS|has arrived by SMS"), timeout=60_000
    )
    await site.enter(page, await site.code(who))
    await signed_in(page)
