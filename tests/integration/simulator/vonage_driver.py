"""Vonage's own package, its host replaced, and a receiver of its status webhooks."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from requests.adapters import HTTPAdapter
from vonage import Auth, HttpClientOptions, Vonage
from vonage_jwt import verify_signature
from vonage_messages import Sms

from deploy.simulator.vonage import VonageAccount
from tests.integration.simulator.drivers import PHONE

APPLICATION: Final = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
API_KEY: Final = "a1b2c3d4"
SECRET: Final = "a signature secret only for tests"
KEY: Final = rsa.generate_private_key(65537, 2048)
VONAGE: Final = VonageAccount(APPLICATION, KEY.public_key(), API_KEY, SECRET)


def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@cache
def foreign_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


class Plain(HTTPAdapter):
    """The package speaks https only; the simulator does not."""

    def send(self, request: Any, **more: Any) -> Any:  # type: ignore[override]
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **more)


def vonage(base: str, key: rsa.RSAPrivateKey = KEY, application: str = APPLICATION, timeout: float = 5) -> Any:
    options = HttpClientOptions(api_host=base.removeprefix("http://"), timeout=timeout, max_retries=0, pool_maxsize=1)
    client = Vonage(Auth(application_id=application, private_key=pem(key)), options)
    client.http_client._session.mount("https://", Plain())
    return client


async def send(base: str, client: Any = None, **more: Any) -> str:
    given = {"to": PHONE.removeprefix("+"), "from_": "Gatepost", "text": "Your code is 123456"} | more
    sent = await asyncio.to_thread((client or vonage(base)).messages.send, Sms(**given))
    return str(sent.message_uuid)


@dataclass
class Statuses:
    """Webhooks as they came; `valid` is what Vonage's package says of each, and whether the body's hash fits."""

    url: str
    said: list[dict[str, Any]] = field(default_factory=list)
    valid: list[tuple[bool, bool]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, options={"verify_signature": False})
        hashed = claims["payload_hash"] == hashlib.sha256(body).hexdigest()
        async with self.news:
            self.said.append(await request.json())
            self.valid.append((verify_signature(token, SECRET), hashed and claims["api_key"] == API_KEY))
            self.news.notify_all()
        return web.Response(status=200)

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(5), self.news:
            await self.news.wait_for(lambda: len(self.said) >= count)


@asynccontextmanager
async def statuses_served() -> AsyncIterator[Statuses]:
    app, found = web.Application(), Statuses("")
    app.router.add_post("/statuses", found.take)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/statuses"
    yield found
    await runner.cleanup()
