"""Canaries through the main job: sign-ins, codes, sessions, replays."""

import asyncio
import base64
import hashlib
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg

from deploy.local.people import Api
from deploy.local.stack import Stack
from tests.secrecy.canaries import Canaries

PATIENCE = 60
AGE = "UPDATE logins SET last_send_at = last_send_at - interval '100 seconds' WHERE login_id = $1"


@dataclass
class Cast:
    """What every part of the play stands on. `account` is the canaries' own account."""

    stack: Stack
    http: aiohttp.ClientSession
    api: Api
    canaries: Canaries
    account: str = ""
    credentials: dict[str, str] = field(default_factory=dict)
    own: dict[str, dict[str, str]] = field(default_factory=dict)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def users(self, *more: str) -> str:
        return "/".join((f"/v1/accounts/{self.account}/users", *more))

    async def open(self, path: str, body: Any = None, method: str = "POST", **headers: str) -> tuple[int, Any]:
        """A call to the gateway's logins, without credentials."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.api.call("gateway", method, f"/v1/logins{path}", body, authenticated=False, headers=given)

    async def code(self, to: str, channel: str, count: int = 1) -> str:
        """The code of the newest message, once there are `count`; it is a secret of its own."""
        inbox = f"http://127.0.0.1:{self.stack.ports.inbox}"
        wanted = {"to": to, "channel": channel, "after": self.since.isoformat(), "wait": "1"}
        found: list[Any] = []

        async def enough() -> bool:
            async with self.http.get(f"{inbox}/messages", params=wanted) as answer:
                found[:] = (await answer.json())["messages"]
            return len(found) >= count

        await until(enough)
        return self.canaries.known("code", str(found[-1]["code"]))

    async def fault(self, channel: str, to: str, mode: str, **more: int) -> None:
        inbox = f"http://127.0.0.1:{self.stack.ports.inbox}"
        async with self.http.put(f"{inbox}/faults", json={channel: {to: {"mode": mode, **more}}}) as answer:
            assert answer.status == 200, await answer.text()


async def until(holds: Callable[[], Awaitable[Any]], seconds: float = PATIENCE) -> Any:
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := await holds()):
        assert asyncio.get_running_loop().time() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)
    return found


def person(canaries: Canaries, **more: Any) -> dict[str, Any]:
    """A user with a canary in every field."""
    fields = {
        "username": canaries.new("username", "Cy {} ß"),
        "password": canaries.new("password", "pass {} wörd/+%"),
        "name": canaries.new("name", "Cy Ñame {}"),
        "phone": canaries.phone(),
        "email": canaries.email(),
        "external_id": canaries.new("external id", "cy/ext-{}"),
        "locale": canaries.locale(),
        "claims": {"team": canaries.new("claims", "té am {}")},
        "two_factor": {"sms": True, "email": True},
    }
    return fields | more


def context(canaries: Canaries) -> dict[str, str]:
    return {
        "ip": canaries.address(),
        "user_agent": canaries.new("user agent", "Cy/1 ({})"),
        "locale": canaries.locale(),
        "origin": canaries.new("origin", "https://cy{}.example"),
        "device_id": canaries.new("device", "dévice {}"),
    }


def key(canaries: Canaries) -> str:
    return canaries.new("idempotency key", "cy-key-{}-of-one-call")


async def open_account(cast: Cast) -> None:
    """Codes of this account have ten digits: long enough to be told from other numbers."""
    name = cast.canaries.new("account name", "cy-{}")
    body = {"name": name, "settings": {"code_digits": 10}}
    cast.account = (await cast.api.expect(201, "gateway", "POST", "/v1/accounts", body))["account_id"]
    again = cast.canaries.new("account name", "cy-{}")
    await cast.api.expect(200, "gateway", "PATCH", f"/v1/accounts/{cast.account}", {"name": again})
    await cast.api.expect(409, "gateway", "POST", "/v1/accounts", {"name": again})


async def member(cast: Cast, **more: Any) -> dict[str, Any]:
    """Make such a person; gives body and user_id."""
    body = person(cast.canaries, **more)
    made = await cast.api.expect(201, "gateway", "POST", cast.users(), body)
    return body | {"user_id": made["user_id"]}


async def sign_in(cast: Cast, who: dict[str, Any], status: int = 202, **more: str) -> Any:
    body = {"account": cast.account, "username": who["username"], "password": who["password"]}
    headers = {"Idempotency_Key": key(cast.canaries), "User_Agent": cast.canaries.new("user agent")}
    headers["X_Forwarded_For"] = cast.canaries.address()
    got, login = await cast.open("", body | more | {"context": context(cast.canaries)}, **headers)
    assert got == status, login
    if "login" in login:
        handle(cast.canaries, login["login"])
    return login


def handle(canaries: Canaries, text: str) -> None:
    """The handle, and its MAC by itself: the rest of it is a login_id, which everybody may know."""
    raw = base64.urlsafe_b64decode(text.removeprefix("lg_") + "==")
    canaries.known("handle", text)
    canaries.raw("handle", raw[-16:], "MAC of a handle")


def token(canaries: Canaries, text: str) -> str:
    raw = base64.urlsafe_b64decode(text.removeprefix("gp_") + "==")
    canaries.known("token", text)
    canaries.raw("token secret", raw[22:38])
    canaries.raw("token", raw[-16:], "MAC of a token")
    return text


async def verified(cast: Cast, login: dict[str, Any], code: str) -> str:
    """Verify twice with one key: the second answer is the first again."""
    body, once = {"code": f"{code[:5]} {code[5:]}"}, key(cast.canaries)
    first = await cast.open(f"/{login['login']}/verify", body, Idempotency_Key=once)
    assert first[0] == 200, first
    assert await cast.open(f"/{login['login']}/verify", body, Idempotency_Key=once) == first
    return token(cast.canaries, first[1]["token"])


async def by_sms(cast: Cast) -> dict[str, Any]:
    """SMS, resend, wrong codes, right code; then the session's whole life."""
    who = await member(cast)
    login = await sign_in(cast, who)
    code = await cast.code(who["phone"], "sms")
    await _wrong_codes(cast, login["login"], 3)
    await _aged(cast, login["login_id"])
    status, answer = await cast.open(f"/{login['login']}/resend", {"channel": "email"})
    assert status == 202, answer
    await cast.code(who["email"], "email")
    await cast.open("/-", None, "GET", Gatepost_Login=login["login"])
    async with cast.http.get(f"{cast.api.urls['gateway']}/v1/logins/{login['login']}/events") as answer:
        assert b"code_required" in await answer.content.readuntil(b"}")
    await session(cast, await verified(cast, login, code))
    return who


async def _wrong_codes(cast: Cast, given: str, times: int, last: int = 401) -> None:
    for left in range(times, 0, -1):
        wrong = cast.canaries.known("wrong code", f"{secrets.randbelow(10**10):010d}")
        status, answer = await cast.open(f"/{given}/verify", {"code": wrong})
        assert status == (last if left == 1 else 401), answer


async def _aged(cast: Cast, login_id: str) -> None:
    connection = await asyncpg.connect(cast.stack.dsn("gateway"))
    try:
        await connection.execute(AGE, UUID(login_id))
    finally:
        await connection.close()


async def session(cast: Cast, text: str) -> None:
    """Introspected, checked by header and cookie, revoked."""

    async def active() -> bool:
        answer = await cast.api.expect(200, "session_store", "POST", "/v1/introspect", data={"token": text})
        return bool(answer["active"])

    await until(active)
    path = f"/v1/check?account={cast.account}"
    for headers in ({"Authorization": f"Bearer {text}"}, {"Cookie": f"__Host-gatepost={text}"}):
        await cast.api.expect(200, "session_store", "GET", path, authenticated=False, headers=headers)
    await cast.api.expect(200, "session_store", "POST", "/v1/revoke", data={"token": text})
    assert not await active()


async def by_fallback(cast: Cast) -> dict[str, Any]:
    """The SMS is refused, the e-mail arrives although it is off; five wrong codes then close the next login."""
    who = await member(cast, two_factor={"sms": True, "email": False})
    await cast.fault("sms", who["phone"], "refuse", code=21614)
    login = await sign_in(cast, who)
    await verified(cast, login, await cast.code(who["email"], "email"))
    login = await sign_in(cast, who)

    async def heard_of() -> bool:
        _, found = await cast.api.call("delivery", "GET", f"/v1/timelines/{login['login_id']}")
        return bool(found.get("deliveries"))

    await until(heard_of)
    await _wrong_codes(cast, login["login"], 5, last=410)
    return who


async def not_delivered(cast: Cast) -> None:
    """Phone and mailbox both refuse; the delivery is found and replayed."""
    who = await member(cast, two_factor={"sms": False, "email": True})
    await cast.fault("email", who["email"], "smtp_5xx", times=1)
    login = await sign_in(cast, who)

    async def failed() -> bool:
        _, found = await cast.api.call("delivery", "GET", f"/v1/timelines/{login['login_id']}")
        return any(row["state"] == "failed" for row in found.get("deliveries", ()))

    await until(failed)
    body = {"login_id": login["login_id"], "replay_id": cast.canaries.new("replay id", "cy-{}")}
    made = await cast.api.expect(202, "delivery", "POST", "/v1/replays", body)
    assert made["counts"]["replayed"] == 1
    await verified(cast, login, await cast.code(who["email"], "email"))
    body = {"account": cast.account, "reason": cast.canaries.new("replay filter", "cy:{}")}
    await cast.api.expect(202, "delivery", "POST", "/v1/replays", body)


async def by_imported_hash(cast: Cast) -> None:
    """Foreign hashes of passwords; the first sign-in replaces one."""
    given = []
    for _ in range(2):
        password, salt = cast.canaries.new("password", "old {} pass"), secrets.token_hex(8)
        digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 1000)
        text = f"pbkdf2_sha256$1000${salt}${base64.b64encode(digest).decode()}"
        cast.canaries.known("password hash", text)
        who = await member(cast, two_factor={}, password=None, password_hash=text)
        given.append(who | {"password": password})
    login = await sign_in(cast, given[0], 200)
    token(cast.canaries, login["token"])


async def wrong_passwords(cast: Cast, who: dict[str, Any]) -> None:
    """A wrong password, a name that is nobody's, and a password typed into the name's field."""
    fields = {"username": who["username"], "password": cast.canaries.new("password")}
    for changed in ({}, {"username": cast.canaries.new("misplaced")}, {"account": cast.canaries.new("misplaced")}):
        body = {"account": cast.account, **fields, **changed, "context": {"ip": cast.canaries.address()}}
        status, _ = await cast.open("", body, **cast.credentials)  # then its address is what counts
        assert status == 401


async def by_administrator(cast: Cast) -> None:
    """Signed in to Gatepost itself; the token makes calls to two services, which ask the third."""
    who = await member(cast, role="admin")
    login = await sign_in(cast, who, audience="gatepost")
    text = await verified(cast, login, await cast.code(who["phone"], "sms"))
    bearer = {"Authorization": f"Bearer {text}"}

    async def taken_in() -> bool:
        call = ("gateway", "GET", cast.users())
        return (await cast.api.call(*call, authenticated=False, headers=bearer))[0] == 200

    await until(taken_in)
    await cast.api.expect(200, "delivery", "GET", "/v1/deliveries", authenticated=False, headers=bearer)
    body = person(cast.canaries)
    await cast.api.expect(201, "gateway", "POST", cast.users(), body, authenticated=False, headers=bearer)
    await cast.api.expect(
        200, "session_store", "POST", "/v1/revoke", authenticated=False, headers=bearer, data={"token": text}
    )
