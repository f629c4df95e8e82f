"""The API of a running system of its own: what is tried here may pause, clear and switch off whatever it reaches."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from deploy.local.people import Api
from deploy.local.stack import Stack
from tests.api.places import places, replay


@pytest_asyncio.fixture(scope="session")
async def api(stack: Stack) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield Api(session, stack.environment.urls(), stack.client())


@pytest_asyncio.fixture(scope="session")
async def replay_id(api: Api) -> str:
    return await replay(api)


@pytest_asyncio.fixture
async def known(api: Api, replay_id: str) -> dict[str, str]:
    return await places(api) | {"replay_id": replay_id}
