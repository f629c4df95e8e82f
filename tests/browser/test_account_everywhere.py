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


async def test_the_pages_of_a_password_and_of_a_deletion_too(site: Site, visitor: Visitor):
    there = await own_account(site)
    (page, _), who = await administrator(there, visitor, **SMALL), await there.person()
    for path, heading, button in (
        ("password", f"Set a password for {who.username}", "Set this password"),
        ("delete", f"Delete {who.username}?", "Delete for good"),
    ):
        await page.goto(f"{page_of(there, who)}/{path}")
        await shown(page, heading)
        for field in await page.locator("main form input:not([type=hidden])").all():
            await field.fill("x")
        await page.get_by_role("button", name=button).click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await shown(page, heading)
    await page.goto(f"{page_of(there, who)}/password")
    await page.get_by_role("button", name="Make one and set it").click()
    await expect(page.get_by_label("The new password")).to_be_visible()
    await shown(page, who.username)


async def test_a_console_that_is_not_for_its_visitor_is_accessible_too(site: Site, visitor: Visitor):
    page = await visitor(**SMALL)
    await site.sign_in(page, await site.person(), return_to="/account")
    await shown(page, "This console is not for you")


async def test_all_other_pages_fit_360_pixels_and_axe_finds_nothing(site: Site, visitor: Visitor):
    there = await own_account(site)
    page, _ = await administrator(there, visitor, "/account/outside", **SMALL)
    await shown(page, "Outside two-factor")
    await there.person()
    await page.reload()
    await shown(page, "Outside two-factor")
    await page.goto(f"{there.base}/account/audit?action=user.deleted")
    await shown(page, "Audit")
    await page.goto(f"{there.base}/account/audit?who=command-line&about=x")
    await shown(page, "Audit")
    await page.goto(f"{there.base}/account/audit")
    await shown(page, "Audit")
    await page.goto(f"{there.base}/account/users/import")
    file = {"name": "users.csv", "mimeType": "text/csv", "buffer": b"username,phone\nx,12\n"}
    for _ in range(2):
        await shown(page, "Import users")
        await page.get_by_label("CSV file").set_input_files(file)  # type: ignore[arg-type]
        async with page.expect_navigation():
            await page.get_by_role("button", name="Import").click()
    file["buffer"] = b"nothing"
    await page.get_by_label("CSV file").set_input_files(file)  # type: ignore[arg-type]
    await page.get_by_role("button", name="Import").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await shown(page, "Import users")


async def test_the_page_general_and_what_it_leads_to_too(site: Site, visitor: Visitor):
    there = await own_account(site)
    page, _ = await administrator(there, visitor, "/account/general", **SMALL)
    await shown(page, "General")
    for amount in ("30", "x"):
        await page.get_by_role("textbox", name="Duration").fill(amount)
        await page.get_by_role("button", name="Preview").click()
        await expect(page.locator("#preview").get_by_text("session" if amount == "30" else "Enter")).to_be_visible()
        await shown(page, "General")
    await page.get_by_label("Type the account's name").fill("x")
    await page.get_by_role("button", name="Clear all login sessions").click()
    await expect(page.get_by_text("That is not the account's name")).to_be_visible()
    await shown(page, "General")
    await page.get_by_label("Type the account's name").fill(there.account)
    await page.get_by_role("button", name="Clear all login sessions").click()
    await shown(page, "All login sessions are cleared")
