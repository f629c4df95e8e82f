"""A gateway of a test's own, beside the one that runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestServer

from services.login_gateway.app import built
from services.login_gateway.settings import GatewaySettings
from services.platform.settings import load
from tests.browser.site import Site


@asynccontextmanager
async def gateway(site: Site, port: int, **settings: str) -> AsyncIterator[str]:
    """With other settings; gives its public URL."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (site.stack.environment.of_service("gateway") | settings).items():
            patch.setenv(name, value)
        loaded = load(GatewaySettings)
    async with built(loaded) as app, TestServer(app, port=port):
        yield loaded.public_url
