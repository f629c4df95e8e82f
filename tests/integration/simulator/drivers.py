"""What drives the simulator: Twilio's own package, a callback receiver, and its inbox over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import aiohttp
from aiohttp import web
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

SID = "AC" + "5" * 32
TOKEN = "a token only for tests"
PHONE = "+4915112345678"
OTHER = "+4915187654321"
FROM = "+12025550123"
MAIL = "ada@example.org"


class Redirected(TwilioHttpClient):  # type: ignore[misc]  # twilio ships no types
    """Twilio's client as it is, its host replaced."""

    def __init__(self, base: str, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self._base = base

    def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._base), *args, **more)


def client(base: str, token: str = TOKEN, timeout: float = 5) -> Any:
    return Client(SID, token, http_client=Redirected(base, timeout))


async def send(base: str, token: str = TOKEN, timeout: float = 5, **form: Any) -> Any:
    given = {"to": PHONE, "from_": FROM, "body": "Your code is 123456"} | form
    return await asyncio.to_thread(client(base, token, timeout).messages.create, **given)


@dataclass
class Callbacks:
    """Receipts as they came; `valid` is what Twilio's validator says of each."""

    url: str
    statuses: list[str] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        signed = request.headers["X-Twilio-Signature"]
        async with self.news:
            self.forms.append(form)
            self.statuses.append(form["MessageStatus"])
            self.valid.append(RequestValidator(TOKEN).validate(self.url, form, signed))
            self.news.notify_all()
        return web.Response(status=204)

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(5), self.news:
            await self.news.wait_for(lambda: len(self.statuses) >= count)


@asynccontextmanager
async def callbacks_served() -> AsyncIterator[Callbacks]:
    app, found = web.Application(), Callbacks("")
    app.router.add_post("/receipts", found.take)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/receipts?of=this"
    yield found
    await runner.cleanup()


@dataclass
class Inbox:
    http: aiohttp.ClientSession

    async def messages(self, **query: str) -> list[dict[str, Any]]:
        async with self.http.get("/messages", params=query) as answer:
            assert answer.status == 200, await answer.text()
            return list((await answer.json())["messages"])

    async def attempts(self) -> list[tuple[str, str | None, str]]:
        async with self.http.get("/attempts") as answer:
            found = (await answer.json())["attempts"]
        return [(a["channel"], a["mode"], a["answered"]) for a in found]

    async def fault(self, channel: str, mode: str, to: str = "*", **more: Any) -> None:
        status, shown = await self.put({channel: {to: {"mode": mode, **more}}})
        assert status == 200, shown

    async def put(self, body: Any) -> tuple[int, dict[str, Any]]:
        async with self.http.put("/faults", json=body) as answer:
            return answer.status, dict(await answer.json())


def mail(to: str = MAIL, body: str = "Your code is 654321") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "codes@gatepost.example", to, "Your code"
    made["X-Of"] = "this test"
    made.set_content(body)
    made.add_alternative(f"<p>{body}</p>", subtype="html")
    return made
