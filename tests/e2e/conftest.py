"""The story's people, made through the API of the running system."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio
from rich.console import Console

from deploy.local.people import Api, populate
from deploy.local.stack import Stack
from deploy.local.story import Story


@pytest_asyncio.fixture(scope="session")
async def story(stack: Stack) -> AsyncIterator[Story]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        api = Api(session, stack.environment.urls(), stack.client())
        account, made = await populate(api)
        people = {person.username: person for person in made}
        inbox, keys = f"http://127.0.0.1:{stack.ports.inbox}", stack.environment.keys / "gateway"
        yield Story(api, session, inbox, account, people, stack.kafka, keys, Console(quiet=True))
