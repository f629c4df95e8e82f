"""People who sign in for a while, as they do: some mistype, some go away, some numbers take no SMS."""

import asyncio
import random
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from deploy.local.people import Person
from deploy.local.story import Story, Unexpected

NUMBERS: Final = ("+44207946{:04d}", "+336399{:05d}", "+49157923{:05d}", "+1202555{:04d}")
USERS: Final = 160
AT_ONCE: Final = 8
NO_MOBILE: Final = 14
BAD_MINUTE: Final = {"mode": "error", "times": 60}


class Fate(NamedTuple):
    """What somebody does with their code."""

    mistypes: bool
    goes_away: bool
    signs_out: bool


class Town:
    def __init__(self, story: Story, seed: int = 7) -> None:
        self._story, self._random = story, random.Random(seed)
        self._refused = {user[1]: {"mode": "refuse", "code": 21614} for user in users() if user[2]}
        self.logins = 0

    async def settle(self) -> None:
        path, many = f"/v1/accounts/{self._story.account}/users", asyncio.Semaphore(AT_ONCE)

        async def move_in(name: str, phone: str) -> None:
            person = Person(name, "", {}, secrets.token_urlsafe(12))
            contacts = {"phone": phone, "email": f"{name}@example.com", "two_factor": {"sms": True}}
            async with many:
                body = {"username": name, "password": person.password, **contacts}
                await self._story.api.expect(201, "gateway", "POST", path, body)
            self._story.people[name] = person

        await asyncio.gather(*(move_in(name, phone) for name, phone, _ in users()))
        await self._story.fault({"sms": self._refused})

    async def live(self, seconds: float) -> None:
        """In the middle the provider has a bad moment."""
        end = asyncio.get_running_loop().time() + seconds
        workers = [self._come(some, end) for some in _shared(list(users()), AT_ONCE)]
        await asyncio.gather(*workers, self._trouble(seconds / 2), self._administer(end))

    async def _come(self, some: Sequence[tuple[str, str, bool]], end: float) -> None:
        while True:
            for user in some:
                if asyncio.get_running_loop().time() > end:
                    return
                try:
                    await self._sign_in(*user)
                    self.logins += 1
                except Unexpected as other:
                    self._story.out.print(f"[yellow]{other}[/]")

    async def _sign_in(self, name: str, phone: str, refused: bool) -> None:
        since, fate = datetime.now(UTC), self._fate()
        status, login = await self._story.sign_in(name)
        if status != 202:
            raise Unexpected(f"{name}: {status}")
        code = await self._code(name, phone, refused, since)
        if fate.goes_away:
            return
        if fate.mistypes:
            await self._story.verify(login["login"], f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}")
        await asyncio.sleep(self._random.uniform(0.1, 0.6))
        status, answer = await self._story.verify(login["login"], code)
        if status != 200:  # an administrator was quicker
            raise Unexpected(f"{name}: {answer.get('reason', status)}")
        for _ in range(3):
            await self._story.introspect(answer["token"])
        if fate.signs_out:
            await self._story.api.call("session_store", "POST", "/v1/revoke", data={"token": answer["token"]})

    async def _code(self, name: str, phone: str, refused: bool, since: datetime) -> str:
        if not refused:
            with suppress(Unexpected):
                return await self._story.code_for(phone, "sms", since)
        return await self._story.code_for(f"{name}@example.com", "email", since)

    def _fate(self) -> Fate:
        return Fate(*(self._random.random() < share for share in (0.08, 0.06, 0.3)))

    async def _trouble(self, after: float) -> None:
        await asyncio.sleep(after)
        await self._story.fault({"sms": self._refused | {"*": BAD_MINUTE}})

    async def _administer(self, end: float) -> None:
        """Now and then somebody's sessions are ended."""
        found: Any = await self._story.api.expect(
            200, "gateway", "GET", f"/v1/accounts/{self._story.account}/users?limit=50"
        )
        while asyncio.get_running_loop().time() < end:
            user = self._random.choice(found["users"])["user_id"]
            path = f"/v1/accounts/{self._story.account}/users/{user}/expire-sessions"
            await self._story.api.call("gateway", "POST", path)
            await asyncio.sleep(4)


def users() -> Iterator[tuple[str, str, bool]]:
    """Name, number, and whether that takes no SMS."""
    for number in range(USERS):
        yield f"person-{number}", NUMBERS[number % len(NUMBERS)].format(number + 100), number % NO_MOBILE == 0


def _shared(all_of_them: Sequence[Any], by: int) -> list[Sequence[Any]]:
    return [all_of_them[first::by] for first in range(by)]
