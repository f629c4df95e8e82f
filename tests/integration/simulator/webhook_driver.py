"""Standard Webhooks' own package as a client of the simulator's gateway, and as a receiver of its receipts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from deploy.local.webhooks import new_secret
from deploy.simulator.webhook import WebhookAccount
from tests.integration.simulator.drivers import PHONE

SECRET: Final = new_secret()
RECEIPTS_SECRET: Final = new_secret()
WEBHOOK: Final = WebhookAccount(SECRET, RECEIPTS_SECRET)
TEXT: Final = "Your code is 123456"


def headers(body: str, key: str = "a-key", secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
    made = at or datetime.now(UTC)
    signed = Webhook(secret).sign(key, made, body)
    stamp = str(int(made.timestamp()))
    return {"webhook-id": key, "webhook-timestamp": stamp, "webhook-signature": signed, "Idempotency-Key": key}


async def post(
    http: aiohttp.ClientSession, channel: str = "sms", key: str = "a-key", secret: str = SECRET, **said: Any
) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"to": PHONE, "from": "Gatepost", "text": TEXT, "reference": "ours"} | said)
    given = headers(body, key, secret)
    async with http.post(f"/webhook/{channel}", data=body.encode(), headers=given) as answer:
        return answer.status, dict(await answer.json())


@dataclass
class Receipts:
    """As they came; `valid` is what the package says of each."""

    url: str
    said: list[dict[str, Any]] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            Webhook(RECEIPTS_SECRET).verify(body, dict(request.headers))
            valid = True
        except WebhookVerificationError:
            valid = False
        async with self.news:
            self.said.append(json.loads(body)["data"])
            self.valid.append(valid)
            self.news.notify_all()
        return web.Response(status=204)

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(5), self.news:
            await self.news.wait_for(lambda: len(self.said) >= count)


@asynccontextmanager
async def receipts_served() -> AsyncIterator[Receipts]:
    app, found = web.Application(), Receipts("")
    app.router.add_post("/receipts", found.take)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/receipts"
    yield found
    await runner.cleanup()
