"""What the tests of delivery do to it and see of it: events in, messages at the providers, the HTTP face."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from schemas import codec, topics
from schemas.events import Event, ExpireAll, LoginChallenged, NoticeRequested, Verified
from services.platform.clock import event_id, new_id
from services.platform.kafka import Producer
from services.platform.keys.codes import Codes
from services.platform.keys.contacts import Bound, Contacts, LoginSecrets, mask_email, mask_phone, seal_login
from services.platform.keys.grants import Signer
from services.platform.keys.tokens import ReceiptTokens


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login as the gateway would have opened it."""

    login_id: UUID = field(default_factory=new_id)
    account: UUID = field(default_factory=new_id)
    user: UUID = field(default_factory=new_id)
    phone: str | None = field(default_factory=lambda: f"+447{int.from_bytes(os.urandom(8), 'big') % 10**9:09d}")
    email: str | None = field(default_factory=lambda: f"u{os.urandom(6).hex()}@example.com")
    salt: bytes = field(default_factory=lambda: os.urandom(16))
    seconds: float = 300
    email_off: bool = False

    def whose(self) -> tuple[UUID, UUID, UUID]:
        return self.login_id, self.account, self.user


@dataclass(kw_only=True)
class World:
    url: str
    inbox: str
    kafka: str
    http: aiohttp.ClientSession
    producer: Producer
    contacts: Contacts
    codes: Codes
    signer: Signer
    auth: dict[str, str]
    tokens: ReceiptTokens

    def challenge(self, login: Login, cause: str = "login", channel: str = "sms", **changes: Any) -> LoginChallenged:
        now = datetime.now(UTC)
        expires = now + timedelta(seconds=login.seconds)
        secrets = LoginSecrets(salt=login.salt, phone=login.phone, email=login.email, email_off=login.email_off)
        key_id = self.codes.active_id(now)
        bound = Bound("LoginChallenged", *login.whose(), cause, channel, expires, key_id, 6)
        masked = {"sms": mask_phone(login.phone)} if login.phone else {}
        masked |= {"email": mask_email(login.email)} if login.email else {}
        event = LoginChallenged(
            id=event_id(login.login_id, cause, channel),
            source="gateway",
            time=now,
            account_id=str(login.account),
            user_id=str(login.user),
            login_id=str(login.login_id),
            cause=cause,
            channels=(channel,),  # type: ignore[arg-type]
            sealed=seal_login(self.contacts, bound, secrets),
            masked=masked,  # type: ignore[arg-type]
            country="GB",
            code_key_id=key_id,
            digits=6,
            issued_at=now,
            expires_at=expires,
            account_epoch=1000,
            user_epoch=1000,
        )
        return msgspec.structs.replace(event, **changes)

    def notice(self, login: Login, channel: str, notice: str) -> NoticeRequested:
        now, cause = datetime.now(UTC), f"notice:{notice}"
        expires = now + timedelta(seconds=login.seconds)
        phone, email = (login.phone, None) if channel == "sms" else (None, login.email)
        inside = LoginSecrets(salt=b"", phone=phone, email=email)
        return NoticeRequested(
            id=event_id(login.login_id, cause, channel),
            source="gateway",
            time=now,
            account_id=str(login.account),
            user_id=str(login.user),
            login_id=str(login.login_id),
            notice=notice,  # type: ignore[arg-type]
            cause=cause,
            channel=channel,  # type: ignore[arg-type]
            sealed=seal_login(self.contacts, Bound("NoticeRequested", *login.whose(), cause, channel, expires), inside),
            masked=mask_phone(phone) if phone else mask_email(str(email)),
            issued_at=now,
            expires_at=expires,
        )

    def verified(self, login: Login) -> Verified:
        now = datetime.now(UTC)
        return Verified(
            id=event_id("verified", login.login_id),
            source="gateway",
            time=now,
            account_id=str(login.account),
            user_id=str(login.user),
            login_id=str(login.login_id),
            issued_at=now,
            auth_time=now,
            amr=("pwd", "sms"),
            acr="urn:gatepost:acr:pwd+sms",
            aud="apps",
            channel="sms",
            role="user",
            secret_hash="AAAAAAAAAAAAAAAAAAAAAA==",
            account_epoch=1000,
            user_epoch=1000,
        )

    def expire_all(self, login: Login, floor: int = 2000) -> ExpireAll:
        return ExpireAll(
            id=event_id("expire", login.user, floor),
            source="gateway",
            time=datetime.now(UTC),
            account_id=str(login.account),
            user_id=str(login.user),
            scope="user",
            floor=floor,
            by="test",
        )

    async def publish(self, event: Event, signed: bool = True) -> None:
        topic, key, value = topics.topic_of(event).name, topics.key_of(event), codec.encode(event)
        headers = []
        if topics.is_signed(event) and signed:
            headers = [(topics.SIGNATURE_HEADER, self.signer.sign(topic, key, value))]
        await self.producer.send(topic, key, value, headers)

    async def publish_raw(self, topic: str, value: bytes, key: bytes = b"k") -> None:
        await self.producer.send(topic, key, value)

    async def open(self, login: Login, **more: Any) -> Login:
        await self.publish(self.challenge(login, **more))
        return login

    def code(self, login: Login, channel: str) -> str:
        now = datetime.now(UTC)
        return self.codes.code(self.codes.active_id(now), login.login_id, channel, login.salt, 6, now)

    async def messages(self, to: str | None) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.inbox}/messages", params={"to": to or ""}) as answer:
            found: list[dict[str, Any]] = (await answer.json())["messages"]
        return found

    async def message(self, to: str | None, seconds: float = 15, count: int = 1) -> str:
        """The text of the newest message once there are `count`."""

        async def enough() -> list[dict[str, Any]] | None:
            found = await self.messages(to)
            return found if len(found) >= count else None

        found = await until(enough, seconds, f"{count} message(s)")
        return str(found[-1]["body"])

    async def faults(self, **kinds: dict[str, dict[str, Any]]) -> None:
        async with self.http.put(f"{self.inbox}/faults", json={"sms": {}, "email": {}} | kinds) as answer:
            assert answer.status < 300, await answer.text()

    async def call(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        headers = (more.pop("auth", self.auth) or {}) | more.pop("headers", {})
        async with self.http.request(method, f"{self.url}{path}", headers=headers, **more) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json() if answer.content_type.endswith("json") else await answer.text()

    async def timeline(self, login: Login) -> dict[str, Any]:
        async with self.http.get(f"{self.url}/v1/timelines/{login.login_id}", headers=self.auth) as answer:
            found: dict[str, Any] = {"deliveries": [], "steps": [], "closed": None}
            return found | (await answer.json() if answer.status == 200 else {})

    async def closed(self, login: Login, why: str, seconds: float = 15) -> None:
        """Once delivery knows how that login ended."""

        async def known() -> bool | None:
            return (await self.timeline(login))["closed"] == why or None

        await until(known, seconds, f"closed: {why}")

    async def swept(self) -> None:
        """Once the sweeper claimed rows again: of all accounts, the oldest first."""
        login = Login(email=None)
        await self.faults(sms={str(login.phone): {"mode": "refuse", "code": 20429, "times": 1}})
        await self.open(login)
        assert (await self.row(login, "sms", "delivered"))["tries"] == 2

    async def row(self, login: Login, channel: str, state: str, seconds: float = 15) -> dict[str, Any]:
        """The row of that channel once it has that state."""

        async def there() -> dict[str, Any] | None:
            rows = (await self.timeline(login))["deliveries"]
            return next((r for r in rows if r["channel"] == channel and r["state"] == state), None)

        found: dict[str, Any] = await until(there, seconds, f"{channel} {state}")
        return found

    async def letter(self, reason: str, since: datetime, topic: str, seconds: float = 15) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            found = (await self.call("GET", "/v1/dead-letters"))["dead_letters"]
            return next((f for f in found if _matches(f, reason, since, topic)), None)

        found: dict[str, Any] = await until(there, seconds, f"dead letter {reason}")
        return found


def _matches(letter: dict[str, Any], reason: str, since: datetime, topic: str) -> bool:
    young = datetime.fromisoformat(letter["at"]) >= since
    return young and letter["reason"] == reason and letter["topic"] == topic and letter["service"] == "delivery"


async def until(ask: Callable[[], Awaitable[Any]], seconds: float, what: str) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (found := await ask()) is not None:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")
