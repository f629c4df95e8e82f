"""One session for sibling hosts: sign-in on one host name, the application on another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from playwright.async_api import expect

from tests.browser.chromium import Visitor
from tests.browser.gateways import gateway, session_store
from tests.browser.site import Site

# Chromium finds names below .localhost on this machine, and takes `Secure` cookies from them without TLS.
DOMAIN = "gatepost.localhost"


@asynccontextmanager
async def application(site: Site, store: str) -> AsyncIterator[str]:
    """It knows who comes by forward auth alone: it hands the browser's cookie to the session store."""

    async def hello(request: web.Request) -> web.Response:
        url = f"{store}/v1/check?account={site.account_id}"
        headers = {"Cookie": request.headers.get("Cookie", "")}
        async with site.story.session.get(url, headers=headers) as answer:
            return web.Response(text=f"{answer.status} {answer.headers.get('X-Gatepost-User', 'nobody')}")

    app = web.Application()
    app.router.add_get("/{path:.*}", hello)
    async with TestServer(app) as server:
        yield f"http://app.{DOMAIN}:{server.port}"


@pytest_asyncio.fixture
async def hosts(site: Site) -> AsyncIterator[tuple[str, str]]:
    port = unused_port()
    async with session_store(site, GATEPOST_COOKIE_DOMAIN=DOMAIN) as store, application(site, store) as app:
        settings = {
            "GATEPOST_COOKIE_DOMAIN": DOMAIN,
            "GATEPOST_PUBLIC_URL": f"http://login.{DOMAIN}:{port}",
            "GATEPOST_RETURN_ORIGINS": app,
        }
        async with gateway(site, port, **settings) as login:
            yield login, app


async def test_one_sign_in_opens_the_application_on_the_other_host(site: Site, hosts: Any, visitor: Visitor):
    (login, app), page, who = hosts, await visitor(), await site.person(sms=True)
    await page.goto(f"{app}/orders?page=2")
    await expect(page.get_by_text("401 nobody")).to_be_visible()
    there = Site(site.stack, site.story, site.account, site.account_id, login)
    await there.sign_in(page, who, return_to=f"{app}/orders?page=2")
    await site.enter(page, await site.code(who))
    await page.wait_for_url(f"{app}/orders?page=2")
    await site.story.becomes(await site.token(page, "__Secure-gatepost"), True)
    await page.reload()
    await expect(page.get_by_text(f"200 {who.user_id}")).to_be_visible()
    cookies = {each["name"]: each for each in await page.context.cookies()}
    assert cookies["__Secure-gatepost"]["domain"] == f".{DOMAIN}"
    assert cookies["__Secure-gatepost"]["secure"]
    assert cookies["__Host-gatepost-login"]["domain"] == f"login.{DOMAIN}"
    await page.goto(f"{login}/login/out?return_to={app}/")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("401 nobody")).to_be_visible()
