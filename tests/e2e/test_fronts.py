"""What a browser finds that comes to a service without knowing where to go; programs keep their documents."""

import pytest

from deploy.local.stack import Stack
from deploy.local.story import Story

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize(("service", "begin"), [("delivery", "/operations"), ("session-store", "/docs")])
async def test_the_root_leads_to_where_people_begin(stack: Stack, story: Story, service: str, begin: str):
    root = f"{stack.environment.url(service)}/"
    async with story.session.get(root, headers=BROWSER, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, begin)


async def test_the_gateways_root_says_what_there_is(stack: Stack, story: Story):
    async with story.session.get(f"{stack.environment.url('gateway')}/", headers=BROWSER) as answer:
        text = await answer.text()
    assert answer.status == 200
    assert all(f'href="{there}"' in text for there in ("/login", "/account", "/docs"))


@pytest.mark.parametrize("service", ["gateway", "delivery", "session-store"])
async def test_where_nothing_is_a_browser_gets_a_page_and_a_program_its_document(
    stack: Stack, story: Story, service: str
):
    base = stack.environment.url(service)
    for path in ("/nothing", "/v1/nothing", "/"):
        async with story.session.get(f"{base}{path}") as answer:
            assert (answer.status, answer.content_type) == (404, "application/problem+json")
    async with story.session.get(f"{base}/nothing", headers=BROWSER) as answer:
        assert (answer.status, answer.content_type) == (404, "text/html")
        text = await answer.text()
    style = text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    async with story.session.get(base + style) as answer:
        assert answer.content_type == "text/css"
