"""Logins whose password step a platform did itself: opened once for each reference, by whichever road it comes."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple, get_args
from uuid import UUID

import msgspec

from schemas.events import LoginRefused, RefuseReason
from services.login_gateway import events
from services.login_gateway.house import House
from services.login_gateway.login import ReferenceTaken, first_channel, new_login, open_challenge, open_verified
from services.login_gateway.password_step import LoginContext
from services.platform.clock import event_id
from services.platform.http import Problem
from services.platform.outbox import row_for

AHEAD: Final = timedelta(seconds=5)
PHONE_LIKE: Final = re.compile(r"\+?[\d\s().-]{7,}")
PRIVILEGED: Final = ("admin", "operator")
TOLD: Final[Mapping[str, RefuseReason]] = {reason: reason for reason in get_args(RefuseReason)}


class FeedUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Unbounded, unlike the event's: one that is too long refuses its item and not the batch."""

    user_id: str | None = None
    external_id: str | None = None


class FedLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reference: str
    user: FeedUser
    authenticated_at: datetime
    context: LoginContext = LoginContext()


class FeedBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    logins: Annotated[list[FedLogin], msgspec.Meta(min_length=1, max_length=500)]


class Fed(NamedTuple):
    """What became of one item: a login or a reason. Both are missing while it waits for its account's budget."""

    reference: str
    login: Mapping[str, Any] | None = None
    new: bool = False
    reason: str | None = None


def outcome(fed: Fed) -> str:
    """What became of an item, for the metrics."""
    if fed.reason is not None:
        return "refused"
    if fed.login is None:
        return "waiting"
    return "opened" if fed.new else "again"


class Refusal(Exception):
    """The text is the reason of `LoginRefused`."""

    def __init__(self, reason: RefuseReason) -> None:
        super().__init__(reason)
        self.reason: RefuseReason = reason


async def feed(house: House, client_id: str, account_id: UUID, item: FedLogin) -> Fed:
    """Open one fed login; the same reference again gives the same login. What is refused is told on `login-outcomes`,
    all but a reference that must not travel.
    """
    try:
        check_reference(item.reference)
        if not item.context.can_travel():
            raise Refusal("bad-context")
        if (known := await house.feeds.by_reference(account_id, item.reference)) is not None:
            return await _again(house, account_id, item, known)
        return await _open_once(house, client_id, account_id, item)
    except Refusal as refusal:
        return await refuse(house, account_id, item.reference, refusal.reason)
    except Problem as problem:
        if (reason := TOLD.get(problem.name)) is not None:
            return await refuse(house, account_id, item.reference, reason)
        return Fed(item.reference, reason=problem.name)


async def _again(house: House, account_id: UUID, item: FedLogin, known: Mapping[str, Any]) -> Fed:
    """The same reference again gives the same login, to the same user only."""
    user = await _user(house, account_id, item.user)
    if user["user_id"] != known["user_id"]:
        raise Refusal("reference-reused")
    if (login := await house.logins.get(known["login_id"])) is None:
        raise Refusal("unknown-user")
    return Fed(item.reference, login)


async def _open_once(house: House, client_id: str, account_id: UUID, item: FedLogin) -> Fed:
    try:
        return await _open(house, client_id, account_id, item)
    except ReferenceTaken:
        if (known := await house.feeds.by_reference(account_id, item.reference)) is not None:
            return await _again(house, account_id, item, known)
        await house.feeds.free_reference(account_id, item.reference)
        return await _open(house, client_id, account_id, item)


async def _open(house: House, client_id: str, account_id: UUID, item: FedLogin) -> Fed:
    user = await _user(house, account_id, item.user)
    login = new_login(house, user, "apps", item.context, user["at"])
    login |= {"fed_by": client_id, "reference": item.reference, "auth_time": item.authenticated_at}
    check_time(item.authenticated_at, user, login["created_at"])
    if not login["channels"]:
        if user["role"] in PRIVILEGED:
            raise Refusal("second-factor-required")
        opened = await open_verified(house, login)
    else:
        opened = await open_challenge(house, user, login, await first_channel(house, user, login))
    return Fed(item.reference, opened, new=True)


async def _user(house: House, account_id: UUID, wanted: FeedUser) -> Mapping[str, Any]:
    if "\x00" in (wanted.external_id or ""):
        raise Refusal("unknown-user")
    if (wanted.user_id is None) == (wanted.external_id is None):
        raise Refusal("one-of-user-id-and-external-id")
    try:
        user_id = UUID(wanted.user_id) if wanted.user_id else None
    except ValueError:
        raise Refusal("unknown-user") from None
    row = await house.users.by_id(account_id, user_id, wanted.external_id)
    if row is None or row["disabled"]:
        raise Refusal("unknown-user")
    if row["account_state"] != "active":
        raise Refusal("account-suspended")
    return row


def check_reference(reference: str) -> None:
    """Raises 422 `bad-reference`."""
    if not 1 <= len(reference) <= 128 or not reference.isprintable():
        raise Problem(422, "bad-reference", "A reference has 1 to 128 printable characters.")
    if "@" in reference or PHONE_LIKE.fullmatch(reference):
        raise Problem(422, "bad-reference", "A reference travels in events: no e-mail address and no phone number.")


def check_time(authenticated_at: datetime, user: Mapping[str, Any], now: datetime) -> None:
    """Never older than a code's life, never from the future, never before an ExpireAll: an epoch counts whole
    milliseconds, and what lies in that very one may have been before it.
    """
    if authenticated_at.tzinfo is None:
        raise Refusal("time-without-zone")
    if authenticated_at > now + AHEAD:
        raise Refusal("authenticated-in-the-future")
    if now - authenticated_at > timedelta(seconds=user["code_seconds"]):
        raise Refusal("too-old")
    if authenticated_at < datetime.fromtimestamp((max(user["epoch"], user["account_epoch"]) + 1) / 1000, UTC):
        raise Refusal("sessions-expired")


async def refuse(house: House, account_id: UUID, reference: str, reason: RefuseReason) -> Fed:
    event = LoginRefused(
        id=event_id("LoginRefused", account_id, reference, reason),
        source=events.SOURCE,
        time=house.clock.now().astimezone(UTC),
        account_id=str(account_id),
        reference=reference,
        reason=reason,
    )
    row = row_for(event)
    await house.feeds.refuse(row)
    house.outbox.publish_soon([row])
    return Fed(reference, reason=reason)
