"""Forms of ours, with what our pages do not send."""

from typing import Any

from playwright.async_api import Page
from yarl import URL

from services.platform.cookies import CONSOLE
from tests.browser.chromium import Visitor
from tests.browser.site import Site

PAUSE = {"channel": "sms", "country": "TK"}


async def sent(site: Site, page: Page, address: str, **fields: str) -> int:
    """As the console's page that is open would send it; gives the status."""
    form = {"form_token": str(await page.locator("input[name=form_token]").first.get_attribute("value")), **fields}
    base = str(URL(page.url).origin())
    headers = {"Cookie": f"{CONSOLE}={await site.token(page, CONSOLE)}", "Origin": base}
    to = URL(base + address, encoded=True)
    async with site.story.session.post(to, data=form, headers=headers, allow_redirects=False) as answer:
        return answer.status


async def test_a_sessions_address_that_names_no_user_is_not_found(site: Site, visitor: Visitor):
    """What stands there would go into the answer's address."""
    page, who = await visitor(), await site.person(sms=True, role="admin")
    await site.come_in(page, who, return_to="/account/users")
    address = f"/account/users/x%0d%0aSet-Cookie:%20a=b/sessions/{who.user_id}/end"
    assert await sent(site, page, address) == 404


async def test_a_pause_that_cannot_be_read_ends_no_wider_one(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True, role="operator")
    console = f"{site.stack.environment.url('delivery')}/operations/providers"
    await site.come_in(page, who, return_to=console)
    assert page.url == console
    await site.api.expect(200, "delivery", "POST", "/v1/deliveries/pause", PAUSE)
    try:
        assert await sent(site, page, "/operations/resume", **PAUSE, account="x") == 400
        assert await pauses(site) == [PAUSE]
        assert await sent(site, page, "/operations/resume", **PAUSE, account="*") == 303
        assert await pauses(site) == []
    finally:
        await site.api.expect(200, "delivery", "POST", "/v1/deliveries/resume", PAUSE)


async def pauses(site: Site) -> list[Any]:
    found = await site.api.expect(200, "delivery", "GET", "/v1/deliveries/pauses")
    return [{name: each[name] for name in PAUSE} for each in found["paused"] if each["country"] == PAUSE["country"]]


async def test_a_sibling_hosts_page_opens_no_stream(site: Site, visitor: Visitor):
    """It gets our cookie sent, since hosts below one domain are one site to browsers; reading it could not."""
    page, who = await visitor(), await site.person(sms=True, role="operator")
    console = f"{site.stack.environment.url('delivery')}/operations/live"
    await site.come_in(page, who, return_to=console)
    cookie = {"Cookie": f"{CONSOLE}={await site.token(page, CONSOLE)}"}
    for where, status in (("same-site", 404), ("cross-site", 404), ("same-origin", 200)):
        headers = {**cookie, "Sec-Fetch-Site": where}
        async with site.story.session.get(f"{console}/steps", headers=headers, allow_redirects=False) as answer:
            assert answer.status == status, where
