"""One account with its users on a running system, the clients that sign in, and the phone and mailbox they read."""

import asyncio
import json
import random
import secrets
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg

from deploy.local.people import Api
from services.login_gateway.passwords import HASHER
from tests.faults.records import Call, Record, What
from tests.faults.site import Site

PASSWORD: Final = "correct horse battery"
HASTY_SECONDS: Final = 4  # below what the API allows: set in the table, so that codes expire while a fault lasts
HASH: Final = HASHER.hash(PASSWORD)
CALL_SECONDS: Final = 15.0
Factors = dict[str, bool]


@dataclass(frozen=True)
class Person:
    username: str
    user_id: str
    account: str
    phone: str
    email: str


@dataclass
class Town:
    """`record` gets every call. The accounts: one whose codes last a minute, one whose codes last seconds."""

    site: Site
    http: aiohttp.ClientSession
    api: Api
    record: Record
    dice: random.Random
    account: str = ""
    hasty: str = ""
    feeder: tuple[str, str] = ("", "")
    refused: list[str] = field(default_factory=list)
    everybody: list[Person] = field(default_factory=list)
    _letters: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def inbox(self) -> str:
        return f"http://127.0.0.1:{self.site.stack.ports.inbox}"

    async def settle_in(self, code_seconds: int) -> None:
        """The accounts, and a client that feeds logins."""
        self.account, self.hasty = await self._account(code_seconds), await self._account(code_seconds)
        self.record.accounts = [UUID(self.account), UUID(self.hasty)]
        connection = await asyncpg.connect(self.site.stack.dsn("gateway"))
        try:
            shorten = "UPDATE accounts SET code_seconds = $2 WHERE account_id = $1"
            await connection.execute(shorten, UUID(self.hasty), HASTY_SECONDS)
        finally:
            await connection.close()
        body = {"scopes": ["feed"], "account": self.account, "name": "feeder"}
        made = await self.api.expect(201, "gateway", "POST", "/v1/clients", body)
        self.feeder = (made["client_id"], made["client_secret"])

    async def _account(self, code_seconds: int) -> str:
        body = {"name": f"f-{secrets.token_hex(6)}", "settings": {"code_seconds": code_seconds}}
        made = await self.api.expect(201, "gateway", "POST", "/v1/accounts", body)
        return str(made["account_id"])

    async def people(self, account: str, factors: list[Factors]) -> list[Person]:
        """One new user for each entry."""
        made = [_stranger(account) for _ in factors]
        lines = [_line(person, two) for person, two in zip(made, factors, strict=True)]
        headers = {"Authorization": aiohttp.encode_basic_auth(*self.site.stack.client())}
        url = f"{self.api.urls['gateway']}/v1/accounts/{account}/imports"
        async with self.http.post(url, data="\n".join(lines).encode(), headers=headers) as answer:
            results = [json.loads(line) for line in (await answer.text()).splitlines()]
        assert all(r["status"] == "created" for r in results), results
        known = [_known(person, r["user_id"]) for person, r in zip(made, results, strict=True)]
        self.everybody += known
        return known

    async def call(
        self, what: What, who: str, service: str, path: str, body: object, code: str | None = None, **more: Any
    ) -> Call:
        """One recorded call; an answer that never came has status 0."""
        login_id = more.pop("login_id", None)
        at, status, data = time.time(), 0, dict[str, Any]()
        with suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
            async with asyncio.timeout(CALL_SECONDS):
                status, data = await self.api.call(service, "POST", path, body, **more)
        found = Call(at, time.time(), what, who, status, data, login_id or data.get("login_id"), code)
        self.record.calls.append(found)
        return found

    async def code(self, person: Person, patience: float) -> str | None:
        """The newest code that reached that person's phone, or else their mailbox; None if none does."""
        places = (person.phone, person.email)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience), self._news:
                await self._news.wait_for(lambda: any(self._letters[to] for to in places))
        return next((self._letters[to][-1] for to in places if self._letters[to]), None)

    async def read_post(self) -> None:
        """Until cancelled: what arrives, by recipient."""
        after = ""
        while True:
            query = {"wait": "5"} | ({"after": after} if after else {})
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self.http.get(f"{self.inbox}/messages", params=query) as answer:
                    found = (await answer.json())["messages"]
                after = found[-1]["id"] if found else after
                await self._hand_out(found)

    async def _hand_out(self, found: list[dict[str, Any]]) -> None:
        async with self._news:
            for message in found:
                if message["code"]:
                    self._letters[message["to"]].append(message["code"])
            self._news.notify_all()

    async def faults(self, sms: dict[str, Any] | None = None, email: dict[str, Any] | None = None) -> None:
        """What the providers do wrong, beside those phones that always refuse."""
        refused = {phone: {"mode": "refuse", "code": 21614} for phone in self.refused}
        body = {"sms": refused | ({"*": sms} if sms else {}), "email": {"*": email} if email else {}}
        async with self.http.put(f"{self.inbox}/faults", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def faults_over(self) -> None:
        self.refused.clear()
        await self.faults()


def _stranger(account: str) -> Person:
    tag, number = secrets.token_hex(6), secrets.randbelow(10**8)
    return Person(f"u{tag}", "", account, f"+4479{number:08d}", f"u{tag}@example.com")


def _known(person: Person, user_id: str) -> Person:
    return Person(person.username, user_id, person.account, person.phone, person.email)


def _line(person: Person, two_factor: Factors) -> str:
    body: dict[str, Any] = {"username": person.username, "password_hash": HASH, "email": person.email}
    if two_factor.get("sms"):
        body["phone"] = person.phone
    return json.dumps(body | {"two_factor": two_factor})
