"""The second step: counted before compared, in one short transaction."""

import hmac
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NoReturn, Unpack
from uuid import UUID

import msgspec

from schemas.events import CloseReason
from services.login_gateway import events, notices
from services.login_gateway.guessing import feed_stopped
from services.login_gateway.house import House
from services.login_gateway.password_step import check_key
from services.login_gateway.ports import FedBy, Right, Row, TryLimits, Wrong
from services.platform import failpoints, metrics
from services.platform.http import Problem, too_many, unavailable
from services.platform.keys.codes import matches
from services.platform.keys.keyring import UnknownKey
from services.platform.outbox import OutboxRow, row_for
from services.platform.tracing import TRACES, About

FORGIVEN: Final = re.compile(r"[\s\-\u2010-\u2015]+")
WEAKER_FIRST: Final = ("email", "sms")
SAME_TOKEN: Final = timedelta(seconds=60)
QUARTER: Final = 900


class VerifyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str

    def __repr__(self) -> str:
        return "VerifyBody(…)"


class SignedIn(msgspec.Struct, frozen=True):
    """`row`: the login's columns, with its account's `session_seconds`."""

    row: Row
    token: str
    issued_at: int
    channel: str | None

    def __repr__(self) -> str:
        return f"SignedIn({self.row['login_id']})"


async def verify_code(house: House, login_id: UUID, given: str, key: str | None) -> SignedIn:
    """Raises 400 for what is no code, 401 `wrong-code`, 410 `login-closed`, 429 `too-many-attempts`."""
    began = house.clock.monotonic()
    code = FORGIVEN.sub("", given)
    if not (code.isascii() and code.isdigit() and 6 <= len(code) <= 10):
        raise await _no_code(house, login_id)
    check_key(key)
    tried = await house.logins.try_code(login_id, _limits(house), lambda login: judged(house, login, code, key))
    if tried is None:
        return await _not_open(house, login_id, code, key, began)
    if isinstance(tried.judged, Right):
        failpoints.reached("gateway.after-verify")
    house.outbox.publish_soon(tried.rows)
    if tried.feed_stopped:
        feed_stopped(tried.login["fed_by"])
    if isinstance(tried.judged, Wrong):
        _wrong(house, tried.login, tried.judged, began)
    right = tried.judged
    _tell_right(house, tried.login, right, began)
    return _signed_in(house, tried.login, right.issued_at, right.mint_key_id, right.channel)


async def _no_code(house: House, login_id: UUID) -> Problem:
    """How many digits it has stands in the message and on the page: whoever holds the login's handle may know it."""
    if (login := await house.logins.get(login_id)) is None:
        return Problem(404, "not-found", "There is no such login.")
    return Problem(400, "bad-request", f"That is no code: yours has {login['digits']} digits. It cost no try.")


def _limits(house: House) -> TryLimits:
    limits = house.settings
    user = (limits.wrong_codes_15min, limits.wrong_codes_day, limits.wrong_codes_total)
    return TryLimits(*user, limits.tries_per_login)


def judged(house: House, login: Row, code: str, key: str | None) -> Right | Wrong:
    """What a try means that was just counted; decided while its login is held, so without asking anybody."""
    channel = proved(house, login, code)
    if channel is None:
        return _consequences(house, login)
    issued_at, mint_key = _seconds(login), house.mint.active_id
    secret = house.mint.secret(login["login_id"], issued_at, mint_key)
    hashed = house.names.of("verify-key", key) if key else None
    event = row_for(events.verified(login, issued_at, secret, channel), house.signer)
    return Right(channel, issued_at, mint_key, hashed, event, _notice_of_email(house, login, channel))


def _notice_of_email(house: House, login: Row, channel: str) -> Callable[[Row], list[OutboxRow]] | None:
    """Only where e-mail is off for the user: the code came there because its SMS failed."""
    if channel in login["factors"]:
        return None
    return lambda user: notices.by_email(house.contacts, user, login["counted_at"])


def _consequences(house: House, login: Row) -> Wrong:
    limits, fed_by = house.settings, login["fed_by"]
    fed = FedBy(fed_by, limits.feed_wrong_codes_hour, limits.feed_wrong_codes_percent) if fed_by is not None else None
    last = login["attempts"] >= limits.tries_per_login
    return Wrong(
        locked=_notices(house, login) if login["wrong_total"] >= limits.wrong_codes_total else None,
        long_codes=login["wrong_today"] >= limits.wrong_codes_for_long_codes or login["long_codes"] is True,
        fed=fed,
        closed=row_for(events.closed(login, "too-many-attempts", login["counted_at"])) if last else None,
    )


def _notices(house: House, login: Row) -> Callable[[Row], list[OutboxRow]]:
    return lambda user: notices.locked(house.contacts, user, login["counted_at"])


def proved(house: House, login: Row, code: str) -> str | None:
    """The channel whose code this is. All are compared, in constant time; if both match, the weaker counts."""
    found: str | None = None
    for channel in sorted(login["channels"], key=WEAKER_FIRST.index, reverse=True):
        if matches(code, _expected(house, login, channel)):
            found = channel
    return found


def _expected(house: House, login: Row, channel: str) -> str:
    now = house.clock.now()
    try:
        return house.codes.code(login["code_key_id"], login["login_id"], channel, login["salt"], login["digits"], now)
    except UnknownKey:
        raise unavailable("code-key-unavailable", "The key of this login's code is not here.") from None


def _tell(house: House, login_id: UUID, began: float, **about: Unpack[About]) -> None:
    metrics.VERIFICATIONS.labels(about["result"]).inc()
    TRACES.tell("verify", login_id, house.clock.monotonic() - began, **about)


def _tell_right(house: House, login: Row, right: Right, began: float) -> None:
    _tell(house, login["login_id"], began, result="right", channel=right.channel)
    took: timedelta = login["counted_at"] - login["created_at"]
    metrics.LOGIN_TO_VERIFIED_SECONDS.labels(right.channel).observe(took.total_seconds())


def _wrong(house: House, login: Row, judged: Wrong, began: float) -> NoReturn:
    """A user is locked by one try: who is locked has no other counted."""
    _tell(house, login["login_id"], began, result="wrong")
    if judged.locked is not None:
        metrics.USERS_LOCKED.inc()
    left = max(0, house.settings.tries_per_login - login["attempts"])
    if left == 0:
        raise closed_problem("too-many-attempts")
    raise Problem(401, "wrong-code", f"The code is wrong. Tries left: {left}.", attempts_left=left)


async def _not_open(house: House, login_id: UUID, code: str, key: str | None, began: float) -> SignedIn:
    """Why no try was counted; a repetition of the winning call gets its token again."""
    login = await house.logins.get(login_id)
    if login is None:
        raise Problem(404, "not-found", "There is no such login.")
    if login["state"] == "verified" and login["verify_key"] is not None:
        if _repeats(house, login, code, key):
            return _signed_in(house, login, login["issued_at"], login["mint_key_id"], login["channel"])
        await house.repetitions.end(login_id)
    reason = why_closed(house, login)
    _tell(house, login_id, began, result="refused", reason=reason or "too-many-attempts")
    if reason is not None:
        raise closed_problem(reason)
    if login["locked_at"] is not None:
        raise locked_problem()
    raise too_many("too-many-attempts", "Too many wrong codes. Wait a quarter of an hour.", QUARTER)


def _repeats(house: House, login: Row, code: str, key: str | None) -> bool:
    if key is None or login["verify_key"] is None or login["at"] - login["ended_at"] > SAME_TOKEN:
        return False
    same_key = hmac.compare_digest(login["verify_key"], house.names.of("verify-key", key))
    return same_key and proved(house, login, code) == login["channel"]


def why_closed(house: House, login: Row) -> str | None:
    """The reason that a login takes no code any more, or None while it does."""
    if login["state"] == "verified":
        return "used"
    if login["state"] == "closed":
        return str(login["closed_why"])
    reason: CloseReason | None = None
    if login["expires_at"] <= login["at"]:
        reason = "expired"
    elif login["attempts"] >= house.settings.tries_per_login:
        reason = "too-many-attempts"
    elif (login["now_user_epoch"], login["now_account_epoch"]) != (login["user_epoch"], login["account_epoch"]):
        reason = "sessions-expired"
    return reason


def locked_problem() -> Problem:
    return too_many("too-many-attempts", "This user is locked until an administrator unlocks it.", 3600)


def closed_problem(reason: str) -> Problem:
    words = {
        "used": "This login was completed already.",
        "expired": "The code has expired. Sign in again.",
        "too-many-attempts": "Too many wrong codes. Sign in again.",
        "sessions-expired": "An administrator asked for a new sign-in. Sign in again.",
        "contact-changed": "The phone number or e-mail address was changed. Sign in again.",
    }
    return Problem(410, "login-closed", words.get(reason, "This login is closed."), reason=reason)


def _seconds(login: Row) -> int:
    """A session begins when its login's try was counted, by the database's clock."""
    counted: datetime = login["counted_at"]
    return int(counted.timestamp())


def _signed_in(house: House, login: Row, issued_at: int, mint_key: int, channel: str | None) -> SignedIn:
    secret = house.mint.secret(login["login_id"], issued_at, mint_key)
    return SignedIn(login, house.tokens.make(login["login_id"], issued_at, secret), issued_at, channel)
