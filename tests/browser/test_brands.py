"""An account's own name, colour and logo on its sign-in pages."""

import base64
import secrets
from dataclasses import replace

import pytest
from playwright.async_api import expect

from tests.browser.chromium import Visitor, accessible
from tests.browser.site import Site
from tests.unit.login_gateway.test_brands import png, svg

LOGOS = {"image/png": png(), "image/svg+xml": svg('<path d="M0 0h9v9z" fill="#0a0"/>')}


async def branded(site: Site, colour: str, kind: str = "image/svg+xml") -> Site:
    name = f"brand-{secrets.token_hex(4)}"
    made = await site.api.expect(201, "gateway", "POST", "/v1/accounts", {"name": name})
    logo = {"kind": kind, "data": base64.b64encode(LOGOS[kind]).decode()}
    body = {"name": "Bücher & Söhne <b>", "colour": colour, "logo": logo}
    path = f"/v1/accounts/{made['account_id']}/brand"
    assert await site.api.expect(200, "gateway", "PUT", path, body) == body
    assert await site.api.expect(200, "gateway", "GET", path) == body
    return replace(site, account=name, account_id=made["account_id"])


@pytest.mark.parametrize(("colour", "kind"), [("#ffee00", "image/svg+xml"), ("#101840", "image/png")])
async def test_the_pages_bear_the_accounts_name_colour_and_logo_and_can_be_read(
    site: Site, visitor: Visitor, colour: str, kind: str
):
    there, page = await branded(site, colour, kind), await visitor()
    who = await there.person(sms=True)
    await page.goto(there.address())
    await expect(page.locator(".brand")).to_have_text("Bücher & Söhne <b>")
    drawn = (
        "document.querySelector('.brand img').decode().then(() => document.querySelector('.brand img').naturalWidth)"
    )
    assert await page.evaluate(drawn) > 0
    ground = "getComputedStyle(document.querySelector('button')).backgroundColor"
    assert await page.evaluate(ground) != "rgb(31, 111, 74)"  # Gatepost's own
    await accessible(page)
    await there.sign_in(page, who)
    await expect(page.locator(".brand")).to_have_text("Bücher & Söhne <b>")
    await accessible(page)


async def test_a_logo_that_is_opened_by_itself_runs_nothing_and_an_old_address_is_gone(site: Site, visitor: Visitor):
    there, page = await branded(site, "#336699"), await visitor()
    await page.goto(there.address())
    logo = site.base + str(await page.locator(".brand img").get_attribute("src"))
    async with site.story.session.get(logo) as answer:
        assert answer.status == 200
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    await site.api.expect(200, "gateway", "PUT", f"/v1/accounts/{there.account_id}/brand", {"name": "Plain"})
    async with site.story.session.get(logo) as answer:
        assert answer.status == 404
    await page.reload()
    await expect(page.locator(".brand")).to_have_text("Plain")
    await expect(page.locator(".brand img")).to_have_count(0)
