"""Username and password: counted before they are compared, and as slow for a user who does not exist."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NoReturn
from uuid import UUID

import msgspec

from services.login_gateway.house import House
from services.login_gateway.passwords import busy
from services.login_gateway.ports import Rule, StillBusy
from services.login_gateway.users import fold
from services.platform import metrics
from services.platform.http import Problem, too_many

QUARTER: Final = 900


class LoginContext(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the sign-in happens. Address and user agent never leave the gateway."""

    ip: str | None = None
    user_agent: str | None = None
    locale: str | None = None
    origin: str | None = None
    device_id: str | None = None

    def can_travel(self) -> bool:
        """Whether an event may carry it."""
        return all(
            value is None or (len(value) <= 512 and "\x00" not in value)
            for value in msgspec.structs.asdict(self).values()
        )


class LoginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    username: str
    password: str
    account: str | None = None
    audience: str = "apps"
    context: LoginContext = LoginContext()

    def __repr__(self) -> str:
        return "LoginBody(…)"


def check(body: LoginBody, key: str | None) -> None:
    if not body.username or not body.password:
        raise Problem(400, "bad-request", "username and password must not be empty.")
    if len(body.username) > 256 or len(body.password) > 1024:
        raise Problem(400, "bad-request", "username or password is too long.")
    if body.audience not in ("apps", "gatepost"):
        raise Problem(400, "bad-request", "audience is apps or gatepost.")
    if not body.context.can_travel():
        raise Problem(400, "bad-request", "A value in context has over 512 characters or holds U+0000.")
    if any("\x00" in text for text in (body.username, body.account or "")):
        raise Problem(400, "bad-request", "No value may hold the character U+0000.")
    check_key(key)


def check_key(key: str | None) -> None:
    if key is not None and not (22 <= len(key) <= 64 and key.isascii() and key.isprintable()):
        raise Problem(400, "bad-request", "Idempotency-Key has 22 to 64 characters; a random UUID will do.")


async def who_is(house: House, body: LoginBody, address: str, started: float) -> tuple[Mapping[str, Any], datetime]:
    """The user whose password is right, and when. It counts before hashing, and costs the same for unknown users."""
    account_id = await house.users.account_id(body.account)
    folded = fold(body.username).replace("\x00", "")
    names = await _count_password(house, account_id, folded, address)
    try:
        user = await house.users.by_name(account_id, folded) if account_id else None
        checked = await house.passwords.verify(user["password_hash"] if user else None, body.password)
    except BaseException:
        await house.counters.end(names, wrong=False)
        raise
    right = user is not None and checked.ok and not user["disabled"] and user["account_state"] == "active"
    now = await house.counters.end(names, wrong=not right)
    if user is None or not right:
        await _failed(house, started)
    if checked.rehash:
        await _rehash(house, user, body.password)
    return user, now


async def _count_password(house: House, account_id: UUID | None, folded: str, address: str) -> list[bytes]:
    """The address first: a limited one must not use up what its victim may try."""
    limits = house.settings
    wanted = (
        (house.names.of("address", address), limits.wrong_passwords_address_15min),
        (house.names.of("password", account_id, folded), limits.wrong_passwords_user_15min),
    )
    begun: list[bytes] = []
    for name, most in wanted:
        if (problem := await _begun(house, name, most)) is not None:
            await house.counters.end(begun, wrong=False)
            metrics.LOGINS.labels(problem.name).inc()
            raise problem
        begun.append(name)
    return begun


async def _begun(house: House, name: bytes, most: int) -> Problem | None:
    """None once the guess is counted; many right passwords at once are no wrong ones."""
    try:
        if await house.counters.begin(name, Rule(most, QUARTER)):
            return None
    except StillBusy:
        return busy()
    return too_many("too-many-attempts", "Too many wrong passwords. Wait a quarter of an hour.", QUARTER)


async def _failed(house: House, started: float) -> NoReturn:
    """Answer no sooner than a fixed floor, whatever was wrong."""
    spent = house.clock.monotonic() - started
    await asyncio.sleep(max(0.0, house.settings.password_failure_floor_ms / 1000 - spent))
    metrics.LOGINS.labels("invalid-credentials").inc()
    raise Problem(401, "invalid-credentials", "Username or password is wrong.")


async def _rehash(house: House, user: Mapping[str, Any], password: str) -> None:
    """A foreign or outdated hash becomes ours."""
    await house.users.rehash(user, await house.passwords.hash(password))
