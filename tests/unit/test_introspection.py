"""Whose token it is: asked of the session store, and a store that is away is no verdict."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from services.platform.http import Problem
from services.platform.introspection import Introspection, user_of
from services.platform.settings import ServiceSettings

SAID = {"active": True, "sub": "u", "account": "a", "role": "operator", "aud": "gatepost", "auth_time": 1}
ALIVE = SAID | {"exp": time.time() + 86_400}


def settings(url: str | None) -> ServiceSettings:
    dsn, client = SecretStr("postgresql://none"), SecretStr("me:secret")
    return ServiceSettings(
        kafka="none:1", database=dsn, keys=Path("none"), http_port=0, session_store_url=url, client=client
    )


@asynccontextmanager
async def asking(answer: web.Response) -> AsyncIterator[Introspection]:
    async def introspect(request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("Basic ")
        assert (await request.post())["token"] == "gp_x"
        return answer

    app = web.Application()
    app.router.add_post("/v1/introspect", introspect)
    async with TestServer(app) as server:
        made = Introspection(settings(str(server.make_url("/"))))
        try:
            yield made
        finally:
            await made.close()


def test_a_token_for_applications_is_nobodys_here() -> None:
    assert user_of(ALIVE) is not None
    for other in ({"aud": "apps"}, {"active": False}, {"exp": 5}):
        assert user_of(ALIVE | other) is None
    assert user_of({"active": False}) is None


async def test_an_active_token_names_its_person() -> None:
    async with asking(web.json_response(ALIVE)) as introspection:
        user = await introspection.user("gp_x")
        assert user is not None
        assert (user.user_id, user.account_id, user.role) == ("u", "a", "operator")


@pytest.mark.parametrize(
    "answer", [{"status": 500}, {"status": 503}, {"status": 401}, {"text": "<html>", "content_type": "text/html"}]
)
async def test_a_store_that_gives_no_answer_is_a_503(answer: dict[str, Any]) -> None:
    async with asking(web.Response(**answer)) as introspection:
        with pytest.raises(Problem) as refused:
            await introspection.user("gp_x")
        assert (refused.value.status, refused.value.name) == (503, "session-store-unavailable")


async def test_a_store_that_is_not_there_is_a_503() -> None:
    introspection = Introspection(settings("http://127.0.0.1:9"))
    with pytest.raises(Problem) as refused:
        await introspection.user("gp_x")
    await introspection.close()
    assert refused.value.status == 503


async def test_without_an_address_no_token_is_known() -> None:
    assert await Introspection(settings(None)).user("gp_x") is None
