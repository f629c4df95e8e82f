"""The API's pages: drawn from the service's own description, in a sandbox that reaches nothing."""

import pytest
from playwright.async_api import Page, Request, expect

from deploy.local.stack import Stack
from schemas.topics import TOPICS
from services.delivery.routes.described import DOCUMENT as DELIVERY
from services.login_gateway.routes.described import DOCUMENT as GATEWAY
from services.session_store.routes.described import DOCUMENT as SESSION_STORE
from tests.browser.chromium import Scheme, Visitor, accessible, fits

DOCUMENTS = {"gateway": GATEWAY, "delivery": DELIVERY, "session-store": SESSION_STORE}
SMALL = {"viewport": {"width": 360, "height": 740}}
TRIES = {
    "its origin is its own": "self.origin === 'null' ? 'refused' : self.origin",
    "cookies": "(() => { try { return document.cookie } catch (e) { return 'refused' } })()",
    "storage": "(() => { try { return localStorage.length } catch (e) { return 'refused' } })()",
    "another window": "(() => window.open('/healthz') === null ? 'refused' : 'opened')()",
}


async def drawn(page: Page, stack: Stack, service: str) -> None:
    await page.goto(f"{stack.environment.url(service)}/docs")
    await expect(page.get_by_role("heading", level=1)).to_contain_text(DOCUMENTS[service]["info"]["title"])


@pytest.mark.parametrize("service", DOCUMENTS)
async def test_every_call_is_shown_and_nothing_comes_from_anywhere_else(stack: Stack, visitor: Visitor, service: str):
    page, asked = await visitor(), list[str]()

    def noted(request: Request) -> None:
        asked.append(request.url)

    page.on("request", noted)
    await drawn(page, stack, service)
    summaries = [call["summary"] for calls in DOCUMENTS[service]["paths"].values() for call in calls.values()]
    shown = await page.locator("#calls h2").all_inner_texts()
    assert sorted(text.replace("`", "").strip() for text in shown) == sorted(
        text.replace("`", "") for text in summaries
    )
    base = stack.environment.url(service)
    assert [url for url in asked if not url.startswith((f"{base}/docs", "data:"))] == []


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_the_calls_can_be_read_by_everybody(stack: Stack, visitor: Visitor, colours: Scheme):
    """axe asks for the style sheets, which the page's own policy does not allow. The colours are those of the moment in
    which the page was drawn.
    """
    page = await visitor(color_scheme=colours, bypass_csp=True, **SMALL)
    await drawn(page, stack, "session-store")
    await fits(page)
    await page.set_viewport_size({"width": 1280, "height": 900})
    await accessible(page, [colours])


async def test_a_script_of_the_calls_page_reaches_nothing_of_ours(stack: Stack, visitor: Visitor):
    page = await visitor()
    await drawn(page, stack, "gateway")
    answers = {name: await page.evaluate(script) for name, script in TRIES.items()}
    assert answers == dict.fromkeys(TRIES, "refused")


async def test_the_topics_are_shown_without_a_script(stack: Stack, visitor: Visitor):
    page = await visitor(**SMALL)
    answer = await page.goto(f"{stack.environment.url('delivery')}/docs/topics")
    assert answer is not None
    assert "script-src" not in (await answer.all_headers())["content-security-policy"]
    assert await page.locator("script").count() == 0
    for topic in TOPICS:
        section = page.get_by_role("region", name=topic.name, exact=True)
        for event in topic.events:
            await expect(section.get_by_role("heading", name=event.__name__, exact=True)).to_be_visible()
    await fits(page)
    reader = await visitor(bypass_csp=True)  # in this sandbox no script runs, so axe would wait for ever
    await reader.goto(page.url)
    await accessible(reader)
    contract = await page.request.get(f"{stack.environment.url('delivery')}/docs/asyncapi.yaml")
    assert (await contract.text()).startswith("asyncapi: 3.0.0")
