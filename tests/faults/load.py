"""A bounded load of logins of every kind, from a seed. Clients repeat what got no answer, with an idempotency key."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import aiohttp

from tests.faults.records import Call
from tests.faults.town import PASSWORD, Factors, Person, Town

PATIENCE: Final = 50.0
AGAIN_SECONDS: Final = 0.25
TRANSIENT: Final = (0, 500, 502, 503, 504)


@dataclass
class Visit:
    """One person who signs in."""

    town: Town
    person: Person
    until: float
    login: Call | None = None

    async def sign_in(self) -> Call:
        """Raises `GaveUp` when nobody takes it."""
        key, person = secrets.token_hex(16), self.person
        body = {"account": person.account, "username": person.username, "password": PASSWORD}
        self.login = await self._until_answered(
            lambda: self.town.call(
                "login",
                person.username,
                "gateway",
                "/v1/logins",
                body,
                authenticated=False,
                headers={"Idempotency-Key": key},
            )
        )
        if self.login.status not in (200, 202):
            raise GaveUp(f"{self.login.status} {self.login.problem}")
        return self.login

    async def feed(self) -> None:
        reference = f"r-{secrets.token_hex(8)}"
        item = {"reference": reference, "user": {"user_id": self.person.user_id}}
        item |= {"authenticated_at": datetime.now(UTC).isoformat()}
        headers = {"Authorization": aiohttp.encode_basic_auth(*self.town.feeder)}
        path, body = "/v1/feed/logins", {"logins": [item]}
        answer = await self._until_answered(
            lambda: self.town.call("fed", self.person.username, "gateway", path, body, headers=headers)
        )
        if answer.status != 200 or "login_id" not in (fed := answer.body["logins"][0]):
            raise GaveUp(f"{answer.status} {answer.body}")
        self.login = answer._replace(body=fed, status=202, login_id=fed["login_id"])
        self.town.record.calls.append(self.login)

    async def code(self) -> str:
        """By whichever way it comes: an SMS that fails becomes an e-mail."""
        found = await self.town.code(self.person, self.left)
        if found is None:
            raise GaveUp("no code came")
        return found

    async def verify(self, code: str, key: str | None = None) -> Call:
        login, headers = self.opened, {"Idempotency-Key": key or secrets.token_hex(16)}
        path = f"/v1/logins/{login.body['login']}/verify"
        return await self._until_answered(
            lambda: self.town.call(
                "verify",
                self.person.username,
                "gateway",
                path,
                {"code": code},
                code,
                login_id=login.login_id,
                authenticated=False,
                headers=headers,
            )
        )

    async def is_active(self, done: Call) -> bool:
        """Whether the store says so; 503 means that it is to be asked again."""
        token = done.body.get("token")
        if token is None:
            raise GaveUp(f"{done.status} {done.problem}")
        answer = await self._until_answered(lambda: introspect(self.town, str(token), str(done.login_id)))
        return bool(answer.body.get("active"))

    async def expire(self) -> None:
        """An administrator ends everything of this user."""
        user = self.person.user_id
        path = f"/v1/accounts/{self.person.account}/users/{user}/expire-sessions"
        await self._until_answered(lambda: self.town.call("expire-user", user, "gateway", path, None))

    @property
    def opened(self) -> Call:
        assert self.login is not None
        return self.login

    @property
    def left(self) -> float:
        return max(0.1, self.until - time.monotonic())

    async def _until_answered(self, ask: Callable[[], Awaitable[Call]]) -> Call:
        while (answer := await ask()).status in TRANSIENT:
            if time.monotonic() > self.until:
                raise GaveUp(f"no answer ({answer.status})")
            await asyncio.sleep(AGAIN_SECONDS)
        return answer


class GaveUp(Exception):
    """A client that did not get to the end; whether that was right, the checker says."""


async def introspect(town: Town, token: str, login_id: str) -> Call:
    return await town.call(
        "introspect", "app", "session_store", "/v1/introspect", None, login_id=login_id, data={"token": token}
    )


async def by_code(visit: Visit) -> None:
    await visit.sign_in()
    await visit.is_active(await visit.verify(await visit.code()))


async def without_second_factor(visit: Visit) -> None:
    await visit.is_active(await visit.sign_in())


async def after_wrong_codes(visit: Visit) -> None:
    await visit.sign_in()
    code = await visit.code()
    for step in (1, 2):
        await visit.verify(wrong(code, step))
    await visit.verify(code)


async def guessing(visit: Visit) -> None:
    """Two logins of one user: the tries of a login are five, those of the user ten."""
    for _ in range(2):
        await visit.sign_in()
        code = await visit.code()
        for step in range(1, 8):
            await visit.verify(wrong(code, step))
        await visit.verify(code)


async def twice(visit: Visit) -> None:
    """The right code again: with its key the same token, with another none."""
    await visit.sign_in()
    code, key = await visit.code(), secrets.token_hex(16)
    await visit.verify(code, key)
    await visit.verify(code, key)
    await asyncio.sleep(1.05)  # a session's secret hangs on the second it began in
    await visit.verify(code)


async def ended(visit: Visit) -> None:
    """A session that an administrator ends."""
    await visit.is_active(done := await visit.sign_in())
    await visit.expire()
    await visit.is_active(done)


async def forced(visit: Visit) -> None:
    """A login under way that an administrator ends."""
    await visit.sign_in()
    code = await visit.code()
    await visit.expire()
    await visit.verify(code)


async def abandoned(visit: Visit) -> None:
    await visit.sign_in()


async def fed(visit: Visit) -> None:
    await visit.feed()
    await visit.is_active(await visit.verify(await visit.code()))


class Kind(NamedTuple):
    act: Callable[[Visit], Awaitable[None]]
    share: int
    factors: Factors
    refused: bool = False
    hasty: bool = False


SMS: Final = {"sms": True}
KINDS: Final[dict[str, Kind]] = {
    "sms": Kind(by_code, 8, SMS),
    "sms-refused": Kind(by_code, 3, SMS, refused=True),
    "email": Kind(by_code, 3, {"email": True}),
    "plain": Kind(without_second_factor, 2, {}),
    "wrong-codes": Kind(after_wrong_codes, 2, SMS),
    "guessing": Kind(guessing, 1, SMS),
    "twice": Kind(twice, 1, SMS),
    "ended": Kind(ended, 2, {}),
    "forced": Kind(forced, 1, SMS),
    "abandoned": Kind(abandoned, 2, {"email": True}),
    "hasty": Kind(abandoned, 3, SMS, hasty=True),
    "fed": Kind(fed, 3, SMS),
}


def wrong(code: str, step: int) -> str:
    """Another code of the same length."""
    return str((int(code) + step) % 10 ** len(code)).zfill(len(code))


def mix(dice: random.Random, count: int) -> list[str]:
    """That many kinds by their shares, each at least once, in random order."""
    names, shares = list(KINDS), [kind.share for kind in KINDS.values()]
    found = names[:count] + dice.choices(names, shares, k=max(0, count - len(names)))
    dice.shuffle(found)
    return found


class Load:
    """`started` counts the visits that began; `gave_up` says why some ended early."""

    def __init__(self, town: Town, kinds: list[str], rate: float, least: int) -> None:
        self._town, self._kinds, self._rate, self._least = town, kinds, rate, least
        self.is_enough = False
        self.started = 0
        self._people: list[tuple[Kind, Person]] = []
        self.gave_up: list[str] = []

    async def prepare(self) -> None:
        """Everybody exists before the first one comes."""
        for hasty, account in ((False, self._town.account), (True, self._town.hasty)):
            chosen = [KINDS[name] for name in self._kinds if KINDS[name].hasty is hasty]
            people = await self._town.people(account, [kind.factors for kind in chosen]) if chosen else []
            self._people += zip(chosen, people, strict=True)
        self._town.dice.shuffle(self._people)
        self._town.refused += [person.phone for kind, person in self._people if kind.refused]
        await self._town.faults()

    async def run(self) -> None:
        """One after the other at the rate until all came, or enough of them; then wait for those who came."""
        async with asyncio.TaskGroup() as visits:
            for kind, person in self._people:
                if self.is_enough and self.started >= self._least:
                    break
                visits.create_task(self._visit(kind, person))
                self.started += 1
                await asyncio.sleep(self._town.dice.expovariate(self._rate))

    async def _visit(self, kind: Kind, person: Person) -> None:
        try:
            await kind.act(Visit(self._town, person, time.monotonic() + PATIENCE))
        except GaveUp as why:
            self.gave_up.append(f"{kind.act.__name__}: {why}")
