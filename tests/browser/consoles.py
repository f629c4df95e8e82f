"""An administrator of the account, signed in to its console; and looks at what their work did."""

from dataclasses import replace
from typing import Any

from playwright.async_api import Page

from tests.browser.chromium import Visitor
from tests.browser.site import Person, Site

CONSOLE = "__Host-gatepost-console"


async def administrator(
    site: Site, visitor: Visitor, to: str = "/account/users", **options: Any
) -> tuple[Page, Person]:
    """A browser of their own, on that page of the console."""
    page, who = await visitor(**options), await site.person(sms=True, role="admin")
    await site.sign_in(page, who, return_to=to)
    await page.get_by_label("Code with").fill(await site.code(who))
    if not options.get("java_script_enabled", True):
        await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url(lambda url: url.startswith(site.base + to))
    return page, who


async def own_account(site: Site) -> Site:
    """Another account, for what touches all of its users."""
    name = f"own-{(await site.person()).username}"
    made = await site.api.expect(201, "gateway", "POST", "/v1/accounts", {"name": name})
    return replace(site, account=name, account_id=made["account_id"])


async def user_of(site: Site, who: Person) -> Any:
    return await site.api.expect(200, "gateway", "GET", f"/v1/accounts/{site.account_id}/users/{who.user_id}")


def page_of(site: Site, who: Person) -> str:
    return f"{site.base}/account/users/{who.user_id}"
