"""The account console for everybody: each page fits a small screen, and axe finds nothing, light and dark."""

from typing import Any

from playwright.async_api import Page, expect

from tests.browser.chromium import Visitor, accessible, fits
from tests.browser.consoles import administrator, own_account, page_of
from tests.browser.site import Site

SMALL: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}


async def shown(page: Page, heading: str) -> None:
    await expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    await fits(page)
    await accessible(page)


async def test_the_pages_of_users_fit_360_pixels_and_axe_finds_nothing(site: Site, visitor: Visitor):
    there = await own_account(site)
    (page, admin), who = await administrator(there, visitor, **SMALL), await there.person(sms=True, mail=False)
    await shown(page, "Users")
    await page.get_by_role("searchbox").fill("nobody")
    await expect(page.get_by_text("Nobody is found")).to_be_visible()
    await shown(page, "Users")
    await page.goto(f"{there.base}/account/users/new")
    await shown(page, "Add a user")
    await page.get_by_label("Username").fill(who.username)
    await page.get_by_role("button", name="Add the user").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await shown(page, "Add a user")
    await page.goto(page_of(there, who))  # without an e-mail address, without sessions
    await shown(page, who.username)
    await page.goto(page_of(there, admin))
    await expect(page.get_by_text("this browser")).to_be_visible()
    await page.get_by_label("Phone", exact=True).fill("12")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await shown(page, admin.username)
    await page.get_by_label("Phone", exact=True).fill("")
    path = f"/v1/accounts/{there.account_id}/users/{admin.user_id}"
    await there.api.expect(200, "gateway", "PATCH", path, {"name": "Meanwhile", "two_factor": {"email": True}})
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("Nothing of yours was saved")).to_be_visible()
    await shown(page, "Meanwhile")
    await page.goto(f"{there.base}/account/users/nobody")
    await shown(page, "Not found")


async def test_a_console_that_is_not_for_its_visitor_is_accessible_too(site: Site, visitor: Visitor):
    page = await visitor(**SMALL)
    await site.sign_in(page, await site.person(), return_to="/account")
    await shown(page, "This console is not for you")
