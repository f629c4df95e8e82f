"""The running system as the people of one account meet it: their users, their messages, their faults."""

import itertools
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
from playwright.async_api import Page

from deploy.local.people import Api
from deploy.local.stack import Stack
from deploy.local.story import Story

PASSWORD: Final = "correct horse battery"
_numbers = itertools.count(secrets.randbelow(40_000_000))


@dataclass(frozen=True)
class Person:
    username: str
    user_id: str
    phone: str | None
    email: str | None
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def phone_masked(self) -> str:
        return f"+44 •••• ••{(self.phone or '')[-2:]}"


@dataclass
class Site:
    """`base` is the gateway's address."""

    stack: Stack
    story: Story
    account: str
    account_id: str
    base: str

    @property
    def api(self) -> Api:
        return self.story.api

    async def person(self, *, sms: bool = False, email: bool = False, mail: bool = True, **more: Any) -> Person:
        """A user with these factors; `mail` is whether an address is on file."""
        tag = secrets.token_hex(5)
        phone = f"+4474{next(_numbers):08d}" if sms else None
        address = f"u{tag}@example.com" if mail else None
        body = {"username": f"u-{tag}", "password": PASSWORD, "two_factor": {"sms": sms, "email": email}, **more}
        contacts = {name: value for name, value in (("phone", phone), ("email", address)) if value is not None}
        path = f"/v1/accounts/{self.account_id}/users"
        made = await self.api.expect(201, "gateway", "POST", path, body | contacts)
        return Person(body["username"], made["user_id"], phone, address)

    async def code(self, who: Person, channel: str = "sms") -> str:
        """The code that reached the phone or mailbox."""
        to = who.phone if channel == "sms" else who.email
        return await self.story.code_for(str(to), channel, who.begun)

    async def code_after(self, who: Person) -> str:
        """The code of the sign-in that was just begun, where one came before."""
        opened = await self.login_of(who)
        return await self.story.code_for(str(who.phone), "sms", opened["created_at"])

    async def messages(self, who: Person, channel: str = "sms") -> int:
        wanted = {"to": str(who.phone if channel == "sms" else who.email), "channel": channel}
        async with self.story.session.get(f"{self.story.inbox}/messages", params=wanted) as answer:
            return len((await answer.json())["messages"])

    async def fault(self, who: Person, mode: str, channel: str = "sms", **more: Any) -> None:
        """For this person only; the faults of others are replaced."""
        to = who.phone if channel == "sms" else who.email
        await self.story.fault({channel: {str(to): {"mode": mode, **more}}})

    async def login_of(self, who: Person) -> Any:
        query = "SELECT * FROM logins WHERE user_id = $1 ORDER BY created_at DESC LIMIT 1"
        return await self.database("fetchrow", query, UUID(who.user_id))

    async def age(self, who: Person, column: str, seconds: float) -> None:
        """Let time pass for this person's newest login: `expires_at` or `last_send_at`."""
        found = await self.login_of(who)
        statement = f"UPDATE logins SET {column} = {column} - make_interval(secs => $2) WHERE login_id = $1"  # noqa: S608
        await self.database("execute", statement, found["login_id"], float(seconds))

    async def database(self, verb: str, *values: Any, service: str = "gateway") -> Any:
        connection = await asyncpg.connect(self.stack.dsn(service))
        try:
            return await getattr(connection, verb)(*values)
        finally:
            await connection.close()

    def address(self, path: str = "/login", **query: str) -> str:
        return f"{self.base}{path}?{urlencode({'account': self.account, **query})}"

    async def sign_in(self, page: Page, who: Person, password: str = PASSWORD, **query: str) -> None:
        """The first step, as far as it was answered; with a script, also that nobody is there to answer."""
        await page.goto(self.address(**query))
        await page.get_by_label("Username").fill(who.username)
        await page.get_by_label("Password").fill(password)
        async with page.expect_response(lambda answer: answer.request.method == "POST" or answer.status == 503):
            await page.get_by_role("button", name="Sign in").click()

    async def enter(self, page: Page, code: str) -> None:
        """Typed digit by digit: the field sends itself at the last."""
        await page.get_by_label("Code with").press_sequentially(code)

    async def come_in(self, page: Page, who: Person, **query: str) -> None:
        """All of a sign-in; `return_to="/account"` leads to a console."""
        await self.sign_in(page, who, **query)
        if who.phone is not None:
            await self.enter(page, await self.code(who))
        await page.wait_for_url(lambda url: not url.startswith(f"{self.base}/login") or url.endswith("/login/done"))

    async def token(self, page: Page, name: str = "__Host-gatepost") -> str:
        found = [cookie["value"] for cookie in await page.context.cookies() if cookie["name"] == name]
        assert len(found) == 1, await page.context.cookies()
        return str(found[0])
