"""How the gateway's commands reach it: over HTTP as whoever signed in, or with database access by themselves."""

import asyncio
import json
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
        self._base = base
        self._headers = {"Authorization": authorization, "Content-Type": "application/json"}

    async def __call__(self, method: str, path: str, body: object = None, **query: Any) -> Any:
        """The answer as JSON; a problem document ends the command with exit code 1."""
        data = msgspec.json.encode(body) if body is not None else None
        given = {name: str(value) for name, value in query.items() if value is not None}
        url = self._base + path
        async with self._session.request(method, url, params=given, data=data, headers=self._headers) as answer:
            return _read(answer.status, await answer.read())

    async def stream(self, path: str, lines: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Send NDJSON while reading NDJSON."""
        headers = {**self._headers, "Content-Type": "application/x-ndjson"}
        async with self._session.post(self._base + path, data=lines, headers=headers) as answer:
            if answer.status >= 400:
                _read(answer.status, await answer.read())
            async for line in answer.content:
                yield json.loads(line)


def run(action: Callable[[Api], Awaitable[T]]) -> T:
    """Reach the gateway and do something; one that does not answer ends the command with exit code 1."""
    return asyncio.run(_run(action))


async def _run(action: Callable[[Api], Awaitable[T]]) -> T:
    import aiohttp

    try:
        async with _reach() as api:
            return await action(api)
    except (aiohttp.ClientError, OSError, TimeoutError) as away:
        cli.fail(f"The gateway or its database does not answer ({type(away).__name__}). Is it running?")


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


def _read(status: int, data: bytes) -> Any:
    content = json.loads(data) if data else {}
    if status >= 400:
        field = f" [{content['field']}]" if content.get("field") else ""
        cli.fail(f"{content.get('detail', 'The call failed.')}{field} ({status} {content.get('type', '')})")
    return content
