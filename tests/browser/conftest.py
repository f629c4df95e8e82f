"""A real browser before the running system. `visitor()` opens one, `site` is what it visits."""

import secrets
from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio
from playwright.async_api import Browser
from rich.console import Console

from deploy.local.people import Api
from deploy.local.stack import Stack
from deploy.local.story import Story
from tests.browser.chromium import Visitor, launched, visitors
from tests.browser.site import Site


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with launched() as found:
        yield found


@pytest_asyncio.fixture
async def visitor(browser: Browser) -> AsyncIterator[Visitor]:
    async with visitors(browser) as come:
        yield come


@pytest_asyncio.fixture(scope="session")
async def site(stack: Stack) -> AsyncIterator[Site]:
    """An account of its own."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        api, name = Api(session, stack.environment.urls(), stack.client()), f"pages-{secrets.token_hex(4)}"
        made = await api.expect(201, "gateway", "POST", "/v1/accounts", {"name": name})
        inbox, keys = f"http://127.0.0.1:{stack.ports.inbox}", stack.environment.keys / "gateway"
        story = Story(api, session, inbox, made["account_id"], {}, stack.kafka, keys, Console(quiet=True))
        yield Site(stack, story, name, made["account_id"], stack.environment.url("gateway"))
