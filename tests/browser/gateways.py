"""A gateway and a session store of a test's own, beside those that run."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp.test_utils import TestServer

from services.login_gateway.app import built
from services.login_gateway.settings import GatewaySettings
from services.platform.auth import INTROSPECT, User
from services.platform.settings import S, load
from services.session_store.app import built as store_built
from services.session_store.settings import SessionStoreSettings
from tests.browser.site import Site

OLD = timedelta(minutes=16)


@asynccontextmanager
async def gateway(site: Site, port: int, old: Collection[str] = (), **settings: str) -> AsyncIterator[str]:
    """With other settings; gives its public URL. The sign-ins of the tokens `old` are no longer fresh."""
    loaded = loaded_for(site, "gateway", GatewaySettings, settings)
    async with built(loaded) as app:
        introspect = app[INTROSPECT]

        async def aged(token: str) -> User | None:
            found = await introspect(token)
            return found._replace(auth_time=found.auth_time - OLD) if found is not None and token in old else found

        app[INTROSPECT] = aged
        server = TestServer(app, port=port)
        await server.start_server(shutdown_timeout=1.0)  # a browser keeps its connections
        try:
            yield loaded.public_url
        finally:
            await server.close()


@asynccontextmanager
async def session_store(site: Site, **settings: str) -> AsyncIterator[str]:
    """With other settings; gives its URL once it is ready."""
    loaded = loaded_for(site, "session-store", SessionStoreSettings, settings)
    async with store_built(loaded) as app, TestServer(app) as server:
        url = f"http://127.0.0.1:{server.port}"
        while not await answers(site, f"{url}/readyz"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        yield url


async def answers(site: Site, url: str) -> bool:
    async with site.story.session.get(url) as answer:
        return answer.status == 200


def loaded_for(site: Site, service: str, kind: type[S], settings: dict[str, str]) -> S:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (site.stack.environment.of_service(service) | settings).items():
            patch.setenv(name, value)
        return load(kind)
