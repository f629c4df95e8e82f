"""How the gateway's commands reach it: over HTTP as whoever signed in, or with database access by themselves."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from services.platform import cli

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")


class Api:
    """Calls to the gateway's HTTP API."""

    def __init__(self, session: "aiohttp.ClientSession", base: str, authorization: str) -> None:
        self._session = session
        self.base = base
        self._headers = {"Authorization": authorization, "Content-Type": "application/json"}

    async def __call__(self, method: str, path: str, body: object = None, **query: Any) -> Any:
        """The answer as JSON; a problem document is raised as `Refused`."""
        data = msgspec.json.encode(body) if body is not None else None
        given = {name: str(value) for name, value in query.items() if value is not None}
        url = self.base + path
        async with self._session.request(method, url, params=given, data=data, headers=self._headers) as answer:
            return cli.read(self.base, answer.status, await answer.read())

    async def stream(self, path: str, lines: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Send NDJSON while reading NDJSON."""
        headers = {**self._headers, "Content-Type": "application/x-ndjson"}
        async with self._session.post(self.base + path, data=lines, headers=headers) as answer:
            if answer.status >= 400:
                cli.read(self.base, answer.status, await answer.read())
            async for line in answer.content:
                yield cli.read(self.base, answer.status, line)


def run(action: Callable[[Api], Awaitable[T]]) -> T:
    """Reach the gateway and do something; a refusal, or one that does not answer, ends the command with exit code 1."""
    try:
        return asyncio.run(_run(action))
    except cli.Refused as refused:
        cli.fail(str(refused))


async def _run(action: Callable[[Api], Awaitable[T]]) -> T:
    import aiohttp

    async with _reach() as api:
        try:
            return await action(api)
        except (aiohttp.ClientError, TimeoutError) as away:
            cli.fail(cli.does_not_answer(api.base, away))


def has_database_access() -> bool:
    named = os.environ.keys()
    return "GATEPOST_KEYS" in named and bool({"GATEPOST_DATABASE", "GATEPOST_DATABASE_FILE"} & named)


@asynccontextmanager
async def _reach() -> AsyncIterator[Api]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=60)
    if has_database_access():
        from services.login_gateway.commands_database import served_by_ourselves

        async with served_by_ourselves(timeout) as (session, base, authorization):
            yield Api(session, base, authorization)
        return
    saved = cli.saved()
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield Api(session, saved.gateway, saved.authorization)
