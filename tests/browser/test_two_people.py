"""Two people at one browser, one after the other: neither finds what the other was signed in to."""

import pytest

from services.platform.cookies import CONSOLE
from tests.browser.chromium import Visitor
from tests.browser.site import Site

APPS = "__Host-gatepost"


@pytest.mark.parametrize("first", ["console", "application"])
async def test_signing_in_ends_what_somebody_else_was_signed_in_to(site: Site, visitor: Visitor, first: str):
    page = await visitor()
    admin, other = await site.person(sms=True, role="admin"), await site.person(sms=True, role="admin")
    to = [{"return_to": "/account/users"}, {}]
    before, after = to if first == "console" else reversed(to)
    await site.come_in(page, admin, **before)
    token = await site.token(page, CONSOLE if first == "console" else APPS)
    assert await alive(site, token, first)
    await site.come_in(page, other, **after)
    assert not await alive(site, token, first)


async def alive(site: Site, token: str, where: str) -> bool:
    if where == "application":
        return bool((await site.story.introspect(token))["active"])
    cookie = {"Cookie": f"{CONSOLE}={token}"}
    async with site.story.session.get(f"{site.base}/account/users", headers=cookie, allow_redirects=False) as answer:
        return answer.status == 200


async def test_one_person_keeps_the_console_when_signing_in_to_an_application(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True, role="admin")
    await site.come_in(page, who, return_to="/account/users")
    await site.sign_in(page, who)
    await site.enter(page, await site.code_after(who))
    await page.wait_for_url("**/login/done")
    await page.goto(f"{site.base}/account/users")
    assert page.url == f"{site.base}/account/users"
