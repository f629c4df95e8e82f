"""A login is followed by two streams at most."""

import asyncio
from typing import Any
from uuid import UUID

from services.login_gateway.routes.following import STREAMS
from tests.integration.gateway_login.world import Desk, eventually


async def next_event(stream: Any) -> str:
    """The name of the stream's next event."""
    while line := (await asyncio.wait_for(stream.content.readline(), 10)).decode():
        if line.startswith("event:"):
            return str(line.removeprefix("event:").strip())
    return "the end"


async def until(stream: Any, name: str) -> None:
    """The message may be on its way meanwhile: that is a `state` too."""
    while (found := await next_event(stream)) != name:
        assert found == "state"


async def one_stream(desk: Desk, login: dict[str, Any]) -> bool:
    return len(desk.app[STREAMS]._open[UUID(login["login_id"])]) == 1


async def test_the_third_stream_of_a_login_takes_the_place_of_the_oldest(desk: Desk):
    login = await desk.challenged(await desk.member())
    address = f"{desk.base}/v1/logins/{login['login']}/events"
    first, second, third = [await desk.http.get(address) for _ in range(3)]
    assert [await next_event(stream) for stream in (first, second, third)] == ["state"] * 3
    await until(first, "elsewhere")
    await until(first, "the end")
    await desk.age(login, "expires_at", 600)
    for stream in (second, third):
        await until(stream, "the end")  # not `elsewhere`
    for stream in (first, second, third):
        stream.close()


async def test_a_stream_that_was_left_makes_room(desk: Desk):
    login = await desk.challenged(await desk.member())
    address = f"{desk.base}/v1/logins/{login['login']}/events"
    kept = await desk.http.get(address)
    assert await next_event(kept) == "state"
    for _ in range(3):
        left = await desk.http.get(address)
        assert await next_event(left) == "state"
        left.close()
        await eventually(lambda: one_stream(desk, login))
    await desk.age(login, "expires_at", 600)
    await until(kept, "the end")
    kept.close()
