"""A browser before an application that knows nothing of Gatepost, with Debian's nginx between them."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest_asyncio
from playwright.async_api import expect

from tests.browser.chromium import Visitor
from tests.browser.gateways import gateway
from tests.browser.site import Site
from tests.e2e.nginx import Application, application, documented, nginx, unused_port


class Door(NamedTuple):
    url: str
    app: Application
    site: Site


@pytest_asyncio.fixture
async def door(site: Site, tmp_path: Path) -> AsyncIterator[Door]:
    ports = unused_port(), unused_port()
    app_url, login_url = (f"http://127.0.0.1:{port}" for port in ports)
    settings = {"GATEPOST_PUBLIC_URL": login_url, "GATEPOST_RETURN_ORIGINS": app_url}
    async with application() as app, gateway(site, ports[1], **settings):
        places = documented(
            listen=f"listen 127.0.0.1:{ports[0]}",
            sessions=f"server {urlsplit(site.stack.environment.url('session-store')).netloc}",
            app=f"http://127.0.0.1:{app.port}",
            account=site.account_id,
            sign_in=login_url,
        )
        # Several accounts live in the tests' system, so the sign-in page is told which one is meant.
        places = places.replace("/login?return_to=", f"/login?account={site.account}&return_to=")
        async with nginx(tmp_path, ports[0], places) as url:
            yield Door(url, app, Site(site.stack, site.story, site.account, site.account_id, login_url))


async def test_signed_out_to_sign_in_and_back_where_one_came_from_and_out_again(door: Door, visitor: Visitor):
    page, who = await visitor(), await door.site.person(sms=True)
    asked = f"{door.url}/reports?from=2026-01-01&to=2026-02-01&q=a%26b"
    await page.goto(asked)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.get_by_label("Username").fill(who.username)
    await page.get_by_label("Password").fill("correct horse battery")
    await page.get_by_role("button", name="Sign in").click()
    await door.site.enter(page, await door.site.code(who))
    await page.wait_for_url(asked)
    await expect(page.get_by_text("the application at /reports?from=2026-01-01&to=2026-02-01&q=a%26b")).to_be_visible()
    seen = door.app.seen[-1]
    assert (seen["x-gatepost-user"], seen["x-gatepost-role"]) == ([who.user_id], ["user"])
    assert "gatepost" not in str(seen.get("cookie", ""))

    token = await door.site.token(page)
    path = f"/v1/accounts/{door.site.account_id}/users/{who.user_id}/expire-sessions"
    await door.site.api.expect(200, "gateway", "POST", path)
    await door.site.story.becomes(token, False)
    reached = len(door.app.seen)
    assert await page.evaluate("fetch('/data').then(answer => answer.status)") == 401
    await page.reload()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert re.search(r"return_to=http%3A%2F%2F127.0.0.1", page.url)
    assert len(door.app.seen) == reached
