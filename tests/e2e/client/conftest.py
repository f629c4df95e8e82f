"""The client as a platform would have it, beside the story's people."""

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from deploy.local.story import Story
from gatepost_client import Gatepost


@pytest_asyncio.fixture(scope="session")
async def pair(story: Story) -> tuple[str, str]:
    """A client of the account that may feed and introspect."""
    body = {"scopes": ["feed", "introspect"], "account": story.account, "name": "sdk"}
    made = await story.api.expect(201, "gateway", "POST", "/v1/clients", body)
    return made["client_id"], made["client_secret"]


@pytest.fixture(scope="session")
def opened(stack: Stack, pair: tuple[str, str]) -> Callable[..., Gatepost]:
    urls = stack.environment.urls()
    return lambda **more: Gatepost(urls["gateway"], session_store=urls["session_store"], client=pair, **more)


@pytest_asyncio.fixture(scope="session")
async def gatepost(opened: Callable[..., Gatepost]) -> AsyncIterator[Gatepost]:
    async with opened(remember=0, patience=30) as found:
        yield found
