"""The first step: a password that is right opens a login, and what must go out is written with it."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from schemas.events import Channel, Context, LoginChallenged
from services.login_gateway import events
from services.login_gateway.house import House
from services.login_gateway.idempotency import kept_of, login_of, winner
from services.login_gateway.limits import DAY
from services.login_gateway.password_step import LoginBody, LoginContext, check, who_is
from services.login_gateway.ports import Kept, Opened, Row, Rule
from services.login_gateway.verify import locked_problem
from services.platform import failpoints, metrics
from services.platform.clock import event_id, new_id
from services.platform.http import Problem, too_many
from services.platform.keys.contacts import Bound, LoginSecrets, column_info, seal_login
from services.platform.outbox import OutboxRow, row_for
from services.platform.tracing import TRACES

LONG_DIGITS: Final = 8
CONTACT_OF: Final[dict[Channel, str]] = {"sms": "phone", "email": "email"}


class ReferenceTaken(Exception):
    """Another login has the reference of a fed one."""


class Counted(NamedTuple):
    """A message that may go out, and the counters that say so: to be given back when it does not."""

    channel: Channel
    names: tuple[bytes, ...]


async def sign_in(house: House, body: LoginBody, address: str, key: str | None) -> Row:
    """Check the password and open a login; gives its row. Raises 400, 401 `invalid-credentials`, 409, 422, 429, 503."""
    began = house.clock.monotonic()
    check(body, key)
    user, now = await who_is(house, body, address, began)
    kept = kept_of(house, key, body) if key is not None else None
    if kept is not None and (before := await login_of(house, user["user_id"], kept)) is not None:
        return await _row(house, before)
    login = new_login(house, user, body.audience, body.context, now)
    if not login["channels"]:
        opened = await open_verified(house, login, kept)
    else:
        opened = await open_challenge(house, user, login, await first_channel(house, user, login), kept)
    if opened["login_id"] == login["login_id"]:  # else a call with the same key was quicker
        tell_begun(opened, house.clock.monotonic() - began, "password")
    return opened


def tell_begun(login: Mapping[str, Any], seconds: float, road: str) -> None:
    """The first step of a login that was opened just now."""
    result = "code-required" if login["channels"] else "signed-in"
    TRACES.tell("login", login["login_id"], seconds, result=result, road=road)


def new_login(
    house: House, user: Mapping[str, Any], audience: str, context: LoginContext, now: datetime
) -> dict[str, Any]:
    """The columns of a new login: `factors` is what a code goes out by, `channels` what it may come back from."""
    on: tuple[tuple[Channel, bool], ...] = (("sms", user["sms_on"]), ("email", user["email_on"]))
    factors = [channel for channel, is_on in on if is_on and user[CONTACT_OF[channel]] is not None]
    possible: list[Channel] = [channel for channel in factors if channel == "sms"]
    if factors and user["email"] is not None:
        possible.append("email")
    return {
        "login_id": new_id(),
        "account_id": user["account_id"],
        "user_id": user["user_id"],
        "audience": audience,
        "digits": max(user["code_digits"], LONG_DIGITS if user["long_codes"] else 0),
        "salt": os.urandom(16),
        "code_key_id": house.codes.active_id(house.clock.now()),
        "factors": factors,
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
        "session_seconds": user["session_seconds"],
    }


async def open_verified(house: House, login: dict[str, Any], kept: Kept | None = None) -> Row:
    """No second factor: the session begins at once. Raises `ReferenceTaken`."""
    issued_at, mint_key = int(login["created_at"].timestamp()), house.mint.active_id
    secret = house.mint.secret(login["login_id"], issued_at, mint_key)
    event = row_for(events.verified(login, issued_at, secret, None), house.signer)
    opened = {**login, "state": "verified", "delivery": {}, "issued_at": issued_at, "mint_key_id": mint_key}
    return await _open(house, opened, event, kept, "signed-in")


async def first_channel(house: House, user: Mapping[str, Any], login: Mapping[str, Any]) -> Counted:
    """Count a login that sends a code, and what it sends by. Raises 429 `too-many-attempts`."""
    if user["locked_at"] is not None:
        raise locked_problem()
    name = house.names.of("logins", user["user_id"])
    sign_in = ((name,), (Rule(house.settings.logins_per_hour, 3600),))
    first = login["factors"][0]
    names = _send_names(house, user, first)
    if await house.counters.take(sign_in, (names, _send_rules(house))):  # nearly always: one statement
        return Counted(first, (name, *names))
    if not await house.counters.take(sign_in):
        raise too_many("too-many-attempts", "Too many sign-ins within an hour. Try again later.", 3600)
    counted = await count_send(house, user, login["factors"])
    return counted._replace(names=(name, *counted.names))


async def count_send(house: House, user: Mapping[str, Any], channels: Sequence[Channel]) -> Counted:
    """Count one message by the first of the channels that is not spent for this user and this recipient; else 429."""
    for channel in channels:
        names = _send_names(house, user, channel)
        if await house.counters.take((names, _send_rules(house))):
            return Counted(channel, names)
    raise too_many("too-many-attempts", "Too many codes were sent lately. Try again later.", 3600)


def _send_names(house: House, user: Mapping[str, Any], channel: Channel) -> tuple[bytes, bytes]:
    recipient = user[f"{CONTACT_OF[channel]}_hash"]
    return house.names.of("sends", channel, user["user_id"]), house.names.of("to", recipient.hex())


def _send_rules(house: House) -> tuple[Rule, Rule]:
    return Rule(house.settings.sends_per_hour, 3600), Rule(house.settings.sends_per_day, DAY)


def challenge(
    house: House, user: Mapping[str, Any], login: Mapping[str, Any], channel: Channel, cause: str
) -> OutboxRow:
    """`LoginChallenged` for delivery: the contacts sealed, everything that the next hop needs."""
    login_id = login["login_id"]
    secrets = _secrets(house, user, login)
    event = LoginChallenged(
        id=event_id("LoginChallenged", login_id, cause),
        source=events.SOURCE,
        time=house.clock.now(),
        account_id=str(login["account_id"]),
        user_id=str(login["user_id"]),
        login_id=str(login_id),
        reference=login["reference"],
        cause=cause,
        channels=(channel,),
        sealed=seal_login(house.contacts, _bound(login, channel, cause), secrets),
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


def _secrets(house: House, user: Mapping[str, Any], login: Mapping[str, Any]) -> LoginSecrets:
    phone, email = (_contact(house, user, field) for field in ("phone", "email"))
    return LoginSecrets(login["salt"], phone, email, email_off=email is not None and "email" not in login["factors"])


def _bound(login: Mapping[str, Any], channel: Channel, cause: str) -> Bound:
    whose = (login["login_id"], login["account_id"], login["user_id"])
    code = (login["code_key_id"], login["digits"])
    return Bound("LoginChallenged", *whose, cause, channel, login["expires_at"], *code)


def _contact(house: House, user: Mapping[str, Any], field: str) -> str | None:
    if user[field] is None:
        return None
    return house.contacts.open(user[field], column_info("contacts", "users", user["user_id"], field)).decode()


async def open_challenge(
    house: House, user: Mapping[str, Any], login: dict[str, Any], counted: Counted, kept: Kept | None = None
) -> Row:
    """A code goes out. Raises 409 `user-changed`, or `ReferenceTaken`; what was counted for nothing is given back."""
    event = challenge(house, user, login, counted.channel, "login")
    hashes = {name: user[name] for name in ("phone_hash", "email_hash")}
    opened = {**login, **hashes, "state": "pending", "delivery": queued(counted.channel, login["created_at"])}
    return await _open(house, opened, event, kept, "code-required", counted.names)


async def _open(
    house: House, login: Row, event: OutboxRow, kept: Kept | None, outcome: str, counted: Sequence[bytes] = ()
) -> Row:
    """Write login, event and idempotency key as one, then publish."""
    opened = await house.logins.open(login, event, kept)
    if opened is Opened.NOW:
        failpoints.reached("gateway.after-commit")
        house.outbox.publish_soon([event])
        metrics.LOGINS.labels(outcome).inc()
        return _fresh(login)
    if counted:
        await house.counters.give_back(counted)
    match opened:
        case Opened.KEY_TAKEN if kept is not None:
            return await _row(house, await winner(house, login["user_id"], kept))
        case Opened.REFERENCE_TAKEN:
            raise ReferenceTaken
        case _:
            raise Problem(409, "user-changed", "The user was changed at this very moment. Sign in again.")


def queued(channel: Channel, at: datetime) -> dict[str, dict[str, str]]:
    """What a login says of its message before delivery does."""
    return {channel: {"state": "queued", "cause": "login", "at": at.astimezone(UTC).isoformat()}}


def _fresh(login: Mapping[str, Any]) -> dict[str, Any]:
    """A new login as `Logins.get` would read it."""
    return {
        **login,
        "at": login["created_at"],
        "now_user_epoch": login["user_epoch"],
        "now_account_epoch": login["account_epoch"],
        "attempts": 0,
        "sends": 1,
        "last_send_at": login["created_at"],
        "channel": None,
    }


async def _row(house: House, login_id: UUID) -> Row:
    if (found := await house.logins.get(login_id)) is None:
        raise Problem(409, "login-under-way", "A call with this Idempotency-Key is under way. Repeat it.")
    return found
