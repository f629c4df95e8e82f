"""From a challenge, or a notice, to its row in the ledger; what no gateway would ask for is refused."""

import re
from datetime import datetime, timedelta
from typing import Final

from schemas.events import EmailFallbackRequested, LoginChallenged, NoticeRequested
from services.delivery.intake import BadRecord, Challenge, uuid_in
from services.delivery.notices import cause_of_notice
from services.delivery.outcomes import row_id
from services.platform.keys.contacts import Bound

CAUSE: Final = re.compile(r"login|resend:[1-9][0-9]{0,3}")  # the others are delivery's own
LONGEST_LIFE: Final = timedelta(minutes=10)
LONGEST_NOTICE: Final = timedelta(hours=24)
CLOCKS_DIFFER: Final = timedelta(minutes=1)

Sealed = LoginChallenged | EmailFallbackRequested | NoticeRequested


def bound_of(event: Sealed) -> Bound:
    """What the gateway, or delivery itself, sealed it to."""
    match event:
        case LoginChallenged():
            channel, code = event.channels[0], (event.code_key_id, event.digits)
        case EmailFallbackRequested():
            channel, code = "email", (event.code_key_id, event.digits)
        case NoticeRequested():
            channel, code = event.channel, (0, 0)
    ids = (uuid_in(event.login_id), uuid_in(event.account_id), uuid_in(event.user_id))
    return Bound(type(event).__name__, *ids, event.cause, channel, event.expires_at, *code)


def row_of(event: LoginChallenged | NoticeRequested, now: datetime) -> Challenge:
    """Raises `BadRecord` for what no gateway would ask for."""
    found = challenge_of(event) if isinstance(event, LoginChallenged) else notice_of(event)
    longest = LONGEST_LIFE if isinstance(event, LoginChallenged) else LONGEST_NOTICE
    if found.expires_at > now + longest + CLOCKS_DIFFER:
        raise BadRecord("life-too-long")
    return found


def challenge_of(event: LoginChallenged) -> Challenge:
    if not usable(event):
        raise BadRecord("invalid")
    login_id, channel = uuid_in(event.login_id), event.channels[0]
    return Challenge(
        id=row_id(login_id, channel, event.cause),
        login_id=login_id,
        channel=channel,
        cause=event.cause,
        account_id=uuid_in(event.account_id),
        user_id=uuid_in(event.user_id),
        account_epoch=event.account_epoch,
        user_epoch=event.user_epoch,
        sealed=event.sealed,
        masked=event.masked.get(channel, ""),
        masked_email=event.masked.get("email"),
        country=event.country,
        locale=event.context.locale,
        origin=event.context.origin,
        code_key_id=event.code_key_id,
        digits=event.digits,
        begun_at=event.issued_at,
        challenged_at=event.time,
        expires_at=event.expires_at,
        recipient=None,
        device=event.context.device,
    )


def notice_of(event: NoticeRequested) -> Challenge:
    """A row like a challenge's; it has no code, and no floor ends it."""
    if event.cause != cause_of_notice(event.notice):
        raise BadRecord("invalid")
    login_id = uuid_in(event.login_id)
    return Challenge(
        id=row_id(login_id, event.channel, event.cause),
        login_id=login_id,
        channel=event.channel,
        cause=event.cause,
        account_id=uuid_in(event.account_id),
        user_id=uuid_in(event.user_id),
        account_epoch=None,
        user_epoch=None,
        sealed=event.sealed,
        masked=event.masked,
        masked_email=None,
        country=event.country,
        locale=event.locale,
        origin=None,
        code_key_id=0,
        digits=0,
        begun_at=event.issued_at,
        challenged_at=event.time,
        expires_at=event.expires_at,
        recipient=None,
        sealed_event="NoticeRequested",
    )


def usable(event: LoginChallenged) -> bool:
    """What the types alone do not say."""
    aware = all(instant.tzinfo is not None for instant in (event.time, event.issued_at, event.expires_at))
    known = bool(event.channels) and 4 <= event.digits <= 10 and 0 <= event.code_key_id <= 255
    return aware and known and CAUSE.fullmatch(event.cause) is not None
