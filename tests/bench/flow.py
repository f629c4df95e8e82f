"""One flow: login, code in the provider's hands, verify, session active."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from tests.bench.seed import PASSWORD, Person
from tests.bench.wire import Answer, Client, request
from tests.bench.world import ACCOUNT, World

PATIENCE: Final = 10.0


class Strayed(Exception):
    """The system answered something else than a flow needs."""


class Flow:
    """Plays flows; each person has an address of their own, as behind a proxy."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._gateway, self._store = world.client("gateway"), world.client("session-store")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        self._asking = world.basic() | form

    async def play(self, person: Person) -> float:
        """Seconds for the whole of it."""
        start = time.perf_counter()
        login, sent = await self.begin(person)
        code, _ = await asyncio.wait_for(sent, PATIENCE)
        token = await self.verify(login, code)
        await self.active(token)
        return time.perf_counter() - start

    async def begin(self, person: Person) -> tuple[str, asyncio.Future[tuple[str, float]]]:
        """The login's handle, and what the provider will have got for it."""
        sent: asyncio.Future[tuple[str, float]] = asyncio.get_running_loop().create_future()
        self._world.provider.waiting[person.phone] = sent
        body = {"account": ACCOUNT, "username": person.username, "password": PASSWORD}
        answer = await self._gateway.call("POST", "/v1/logins", body, {"X-Forwarded-For": address()})
        return expect(answer, 202)["login"], sent

    async def sign_in(self, person: Person) -> None:
        """A password alone, for a user without a second factor."""
        body = {"account": ACCOUNT, "username": person.username, "password": PASSWORD}
        answer = await self._gateway.call("POST", "/v1/logins", body, {"X-Forwarded-For": address()})
        expect(answer, 200)

    async def verify(self, login: str, code: str) -> str:
        answer = await self._gateway.call("POST", "/v1/logins/-/verify", {"code": code}, {"Gatepost-Login": login})
        return str(expect(answer, 200)["token"])

    async def active(self, token: str) -> None:
        body = urlencode({"token": token}).encode()
        said = expect(await self._store.send(request("POST", "/v1/introspect", body, self._asking)), 200)
        if not said["active"]:
            raise Strayed("the new session is not active")

    def close(self) -> None:
        self._gateway.close()
        self._store.close()


def expect(answer: Answer, status: int) -> Any:
    if answer.status != status:
        raise Strayed(f"{answer.status} instead of {status}: {answer.body[:300]!r}")
    return msgspec.json.decode(answer.body)


def address() -> str:
    return f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}"


async def at_once(world: World, play: Any, many: int, seconds: float, times: list[float]) -> int:
    """`many` workers, each going from one flow to the next until the time is over; gives how many strayed."""
    until, failed = time.perf_counter() + seconds, 0

    async def worker() -> None:
        nonlocal failed
        while time.perf_counter() < until:
            try:
                times.append(await play(world.person()))
            except (Strayed, TimeoutError) as trouble:
                failed += 1
                if failed <= 3:
                    world.out.print(f"[red]{type(trouble).__name__}: {trouble}[/]", highlight=False)

    await asyncio.gather(*(worker() for _ in range(many)))
    return failed


__all__ = ["Client", "Flow", "Strayed", "address", "at_once", "expect"]
