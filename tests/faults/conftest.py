"""The system of the session, with its services started so that they can be broken."""

from collections.abc import AsyncIterator

import pytest_asyncio

from deploy.local.stack import Stack
from tests.faults.site import Site, site_on

SLOTS = 8


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def site(stack: Stack) -> AsyncIterator[Site]:
    async with site_on(stack, SLOTS) as made:
        yield made
