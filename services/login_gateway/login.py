"""The first step: a password that is right opens a login, and what must go out is written with it."""

import asyncio
import hmac
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NoReturn
from uuid import UUID

import msgspec

from schemas.events import Channel, Context, LoginChallenged
from services.login_gateway import events
from services.login_gateway.house import House
from services.login_gateway.limits import DAY, Rule, give_back, take
from services.login_gateway.postgres import logins as sql
from services.login_gateway.users import fold
from services.platform import metrics
from services.platform.clock import event_id, new_id
from services.platform.http import Problem, too_many
from services.platform.keys.contacts import LoginSecrets, column_info, seal_login
from services.platform.outbox import OutboxRow, insert, row_for

QUARTER: Final = 900
LONG_DIGITS: Final = 8


class LoginContext(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the sign-in happens. Address and user agent never leave the gateway."""

    ip: str | None = None
    user_agent: str | None = None
    locale: str | None = None
    origin: str | None = None
    device_id: str | None = None


class LoginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    username: str
    password: str
    account: str | None = None
    audience: str = "apps"
    context: LoginContext = LoginContext()

    def __repr__(self) -> str:
        return "LoginBody(…)"


class Opened(msgspec.Struct, frozen=True):
    """What to answer: a token where there is no second factor, else the login that waits."""

    login_id: UUID
    token: str | None = None


async def sign_in(house: House, body: LoginBody, address: str, key: str | None) -> Opened:
    """Check the password and open a login. Raises 400, 401 `invalid-credentials`, 429 `too-many-attempts`."""
    _check(body, key)
    started = house.clock.monotonic()
    user = await _who(house, body, address, started)
    if key is not None and (before := await _same(house, user, body, key)) is not None:
        return before
    login = new_login(house, user, body.audience, body.context)
    if not login["channels"]:
        return await open_verified(house, login)
    await check_limits(house, user, login)
    return await open_challenge(house, user, login, key, body)


def _check(body: LoginBody, key: str | None) -> None:
    if not body.username or not body.password:
        raise Problem(400, "bad-request", "username and password must not be empty.")
    if len(body.username) > 256 or len(body.password) > 1024:
        raise Problem(400, "bad-request", "username or password is too long.")
    if body.audience not in ("apps", "gatepost"):
        raise Problem(400, "bad-request", "audience is apps or gatepost.")
    if any(len(value or "") > 512 for value in msgspec.structs.asdict(body.context).values()):
        raise Problem(400, "bad-request", "a value in context is longer than 512 characters.")
    texts = (body.username, body.account, *msgspec.structs.asdict(body.context).values())
    if any("\x00" in text for text in texts if text is not None):
        raise Problem(400, "bad-request", "No value may hold the character U+0000.")
    if key is not None and not (22 <= len(key) <= 64 and key.isascii() and key.isprintable()):
        raise Problem(400, "bad-request", "Idempotency-Key has 22 to 64 characters; a random UUID will do.")


async def _who(house: House, body: LoginBody, address: str, started: float) -> Mapping[str, Any]:
    """The user whose password is right. Failures count before hashing, and cost the same for unknown users."""
    account_id = await house.logins.account_id(body.account)
    folded = fold(body.username).replace("\x00", "")
    names = await _count_password(house, account_id, folded, address)
    user = await house.logins.user(account_id, folded) if account_id else None
    checked = await house.passwords.verify(user["password_hash"] if user else None, body.password)
    if user is None or not checked.ok or user["disabled"] or user["account_state"] != "active":
        await _failed(house, started)
    await give_back(house.pool, names)
    if checked.rehash:
        await _rehash(house, user, body.password)
    return user


async def _count_password(house: House, account_id: UUID | None, folded: str, address: str) -> list[bytes]:
    limits = house.settings
    wanted = (
        (house.names.of("password", account_id, folded), limits.wrong_passwords_user_15min),
        (house.names.of("address", address), limits.wrong_passwords_address_15min),
    )
    for name, most in wanted:
        if not await take(house.pool, name, [Rule(most, QUARTER)]):
            metrics.LOGINS.labels("too-many-attempts").inc()
            raise too_many("too-many-attempts", "Too many wrong passwords. Wait a quarter of an hour.", QUARTER)
    return [name for name, _ in wanted]


async def _failed(house: House, started: float) -> NoReturn:
    """Answer no sooner than a fixed floor, whatever was wrong."""
    spent = house.clock.monotonic() - started
    await asyncio.sleep(max(0.0, house.settings.password_failure_floor_ms / 1000 - spent))
    metrics.LOGINS.labels("invalid-credentials").inc()
    raise Problem(401, "invalid-credentials", "Username or password is wrong.")


async def _rehash(house: House, user: Mapping[str, Any], password: str) -> None:
    """A foreign or outdated hash becomes ours; nothing if somebody changed the password meanwhile."""
    fresh = await house.passwords.hash(password)
    await house.pool.execute(
        "UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2",
        user["user_id"],
        user["password_hash"],
        fresh,
    )


def new_login(house: House, user: Mapping[str, Any], audience: str, context: LoginContext) -> dict[str, Any]:
    """The columns of a new login; `send` is what goes out first, `channels` what a code may come back from."""
    now = house.clock.now()
    sms, mail = user["sms_on"] and user["phone"] is not None, user["email_on"] and user["email"] is not None
    send: list[Channel] = ["sms"] if sms else ["email"] if mail else []
    possible: list[Channel] = ["sms"] if sms else []
    if send and user["email"] is not None:
        possible.append("email")
    return {
        "login_id": new_id(),
        "account_id": user["account_id"],
        "user_id": user["user_id"],
        "audience": audience,
        "digits": max(user["code_digits"], LONG_DIGITS if user["long_codes"] else 0),
        "salt": os.urandom(16),
        "code_key_id": house.codes.active_id(now),
        "send": send,
        "channels": possible,
        "masked": {c: user["phone_masked" if c == "sms" else "email_masked"] for c in possible},
        "auth_time": now,
        "created_at": now,
        "expires_at": now + timedelta(seconds=user["code_seconds"]),
        "account_epoch": user["account_epoch"],
        "user_epoch": user["epoch"],
        "device": context.device_id,
        "context": {"locale": context.locale or user["locale"], "origin": context.origin},
        "fed_by": None,
        "reference": None,
        "role": user["role"],
        "claims": user["claims"],
    }


async def open_verified(house: House, login: dict[str, Any]) -> Opened:
    """No second factor: the session begins at once."""
    issued_at, mint_key = int(login["created_at"].timestamp()), house.mint.active_id
    secret = house.mint.secret(login["login_id"], issued_at, mint_key)
    row = row_for(events.verified(login, issued_at, secret, None), house.signer)
    async with house.pool.acquire() as connection, connection.transaction():
        names = ("login_id", "account_id", "user_id", "audience", "auth_time", "expires_at", "account_epoch")
        values = [login[name] for name in (*names, "user_epoch", "device")]
        await connection.execute(sql.OPEN_VERIFIED, *values, issued_at, mint_key, login["fed_by"], login["reference"])
        await insert(connection, [row])
    house.outbox.publish_soon([row])
    metrics.LOGINS.labels("signed-in").inc()
    return Opened(login["login_id"], house.tokens.make(login["login_id"], issued_at, secret))


async def check_limits(house: House, user: Mapping[str, Any], login: dict[str, Any]) -> None:
    limits = house.settings
    if user["locked_at"] is not None:
        raise too_many("too-many-attempts", "This user is locked until an administrator unlocks it.", 3600)
    if not await take(house.pool, house.names.of("logins", user["user_id"]), [Rule(limits.logins_per_hour, 3600)]):
        raise too_many("too-many-attempts", "Too many sign-ins within an hour. Try again later.", 3600)
    await count_send(house, user, login["send"][0])


async def count_send(house: House, user: Mapping[str, Any], channel: str) -> None:
    """Count one message to this user and to this recipient; raises 429 when either is spent."""
    rules = [Rule(house.settings.sends_per_hour, 3600), Rule(house.settings.sends_per_day, DAY)]
    recipient = user["phone_hash" if channel == "sms" else "email_hash"]
    for name in (house.names.of("sends", channel, user["user_id"]), house.names.of("to", recipient.hex())):
        if not await take(house.pool, name, rules):
            raise too_many("too-many-attempts", "Too many codes were sent lately. Try again later.", 3600)


def challenge(
    house: House, user: Mapping[str, Any], login: Mapping[str, Any], send: list[Channel], cause: str
) -> OutboxRow:
    """`LoginChallenged` for delivery: the contacts sealed, everything that the next hop needs."""
    login_id = login["login_id"]
    secrets = LoginSecrets(login["salt"], *(_contact(house, user, field) for field in ("phone", "email")))
    event = LoginChallenged(
        id=event_id("LoginChallenged", login_id, cause),
        source=events.SOURCE,
        time=house.clock.now(),
        account_id=str(login["account_id"]),
        user_id=str(login["user_id"]),
        login_id=str(login_id),
        reference=login["reference"],
        cause=cause,
        channels=tuple(send),
        sealed=seal_login(house.contacts, "LoginChallenged", login_id, cause, login["expires_at"], secrets),
        masked=login["masked"],
        country=user["phone_country"],
        code_key_id=login["code_key_id"],
        digits=login["digits"],
        issued_at=login["created_at"],
        expires_at=login["expires_at"],
        account_epoch=login["account_epoch"],
        user_epoch=login["user_epoch"],
        context=Context(device=login["device"], **login["context"]),
    )
    return row_for(event)


def _contact(house: House, user: Mapping[str, Any], field: str) -> str | None:
    if user[field] is None:
        return None
    return house.contacts.open(user[field], column_info("contacts", "users", user["user_id"], field)).decode()


async def open_challenge(
    house: House, user: Mapping[str, Any], login: dict[str, Any], key: str | None = None, body: LoginBody | None = None
) -> Opened:
    """Write login, event and idempotency key as one, then publish."""
    row = challenge(house, user, login, login["send"], "login")
    async with house.pool.acquire() as connection, connection.transaction():
        if key is not None and body is not None and not await _keep_key(house, connection, login, key, body):
            raise Problem(409, "login-under-way", "A call with this Idempotency-Key is under way. Repeat it.")
        await connection.execute(sql.OPEN, *(login[name] for name in _COLUMNS))
        await insert(connection, [row])
    house.outbox.publish_soon([row])
    metrics.LOGINS.labels("code-required").inc()
    return Opened(login["login_id"])


_COLUMNS: Final = (
    "login_id",
    "account_id",
    "user_id",
    "audience",
    "digits",
    "salt",
    "code_key_id",
    "channels",
    "masked",
    "auth_time",
    "expires_at",
    "account_epoch",
    "user_epoch",
    "device",
    "context",
    "fed_by",
    "reference",
    "created_at",
)


async def _keep_key(house: House, connection: Any, login: dict[str, Any], key: str, body: LoginBody) -> bool:
    values = (login["user_id"], house.names.of("key", key), _mac(house, body), login["login_id"], login["expires_at"])
    return bool(await connection.fetchval(sql.IDEMPOTENT, *values))


async def _same(house: House, user: Mapping[str, Any], body: LoginBody, key: str) -> Opened | None:
    """The login that an earlier call with this key opened; the key is looked up only after the password was right."""
    row = await house.logins.same_key(user["user_id"], house.names.of("key", key))
    if row is None:
        return None
    if not hmac.compare_digest(row["body_mac"], _mac(house, body)):
        raise Problem(422, "idempotency-key-reused", "This Idempotency-Key was used for another request.")
    return Opened(row["login_id"])


def _mac(house: House, body: LoginBody) -> bytes:
    """The body without its password."""
    rest = msgspec.structs.replace(body, password="")
    return house.names.of("body", msgspec.json.encode(rest).decode())
