"""What a user is told about their own sign-in: by SMS and e-mail, sealed like a challenge, without a code."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog

from schemas.events import Channel, Notice, NoticeRequested
from services.login_gateway import events
from services.login_gateway.administration import Administration
from services.login_gateway.limits import Names
from services.login_gateway.ports import Counters
from services.login_gateway.users import Profile
from services.platform.clock import event_id, new_id
from services.platform.keys.contacts import (
    Bound,
    Contacts,
    LoginSecrets,
    column_info,
    country_of,
    mask_email,
    mask_phone,
    seal_login,
    search_hash,
)
from services.platform.keys.keyring import SealBroken, UnknownKey
from services.platform.outbox import OutboxRow, row_for

log = structlog.get_logger()

LIFE: Final = timedelta(hours=24)


class Told(NamedTuple):
    """One contact of a user."""

    channel: Channel
    contact: str


def both_contacts(contacts: Contacts, user: Mapping[str, Any]) -> list[Told]:
    """The phone and the mailbox that are on file and open; `user` is a row of `users`."""
    fields: tuple[tuple[Channel, str], ...] = (("sms", "phone"), ("email", "email"))
    found = [(channel, _opened(contacts, user, field)) for channel, field in fields if user[field] is not None]
    return [Told(channel, contact) for channel, contact in found if contact is not None]


def _opened(contacts: Contacts, user: Mapping[str, Any], field: str) -> str | None:
    """None where it does not open: a notice that cannot be made must not undo the lock that it tells of."""
    try:
        return contacts.open(user[field], column_info("contacts", "users", user["user_id"], field)).decode()
    except (SealBroken, UnknownKey) as closed:
        log.warning("notice_not_made", user_id=str(user["user_id"]), field=field, error=type(closed).__name__)
        return None


def old_and_new(old: str | None, new: str | None, channel: Channel) -> list[Told]:
    """Whoever loses a contact and whoever gets it are told; nobody when it stayed."""
    return [Told(channel, contact) for contact in (old, new) if contact is not None and old != new]


def rows(
    contacts: Contacts, user: Mapping[str, Any], notice: Notice, told: Sequence[Told], now: datetime
) -> list[OutboxRow]:
    """One event for each contact, for the outbox of the transaction that they tell of."""
    return [row_for(_requested(contacts, user, notice, one, now), of_login=False) for one in told]


def _requested(
    contacts: Contacts, user: Mapping[str, Any], notice: Notice, told: Told, now: datetime
) -> NoticeRequested:
    notice_id, cause, expires_at = new_id(), f"notice:{notice}", now + LIFE
    whose = (notice_id, user["account_id"], user["user_id"])
    bound = Bound("NoticeRequested", *whose, cause, told.channel, expires_at)
    return NoticeRequested(
        id=event_id("NoticeRequested", notice_id),
        source=events.SOURCE,
        time=now,
        account_id=str(user["account_id"]),
        user_id=str(user["user_id"]),
        login_id=str(notice_id),
        notice=notice,
        cause=cause,
        channel=told.channel,
        sealed=seal_login(contacts, bound, _inside(told)),
        masked=mask_phone(told.contact) if told.channel == "sms" else mask_email(told.contact),
        country=country_of(told.contact) if told.channel == "sms" else None,
        locale=user["locale"],
        issued_at=now,
        expires_at=expires_at,
    )


def _inside(told: Told) -> LoginSecrets:
    is_sms = told.channel == "sms"
    return LoginSecrets(b"", told.contact if is_sms else None, None if is_sms else told.contact)


def locked(contacts: Contacts, user: Mapping[str, Any], now: datetime) -> list[OutboxRow]:
    """For whoever was just locked out; `user` is a row of `users`."""
    return rows(contacts, user, "locked", both_contacts(contacts, user), now)


def by_email(contacts: Contacts, user: Mapping[str, Any], now: datetime) -> list[OutboxRow]:
    """The phone hears that a code from the mailbox opened a session, though e-mail is off: its SMS had failed."""
    phone = [told for told in both_contacts(contacts, user) if told.channel == "sms"]
    return rows(contacts, user, "signed-in-by-email", phone, now)


async def of_change(
    admin: Administration, counters: Counters, row: Any, old: Profile, new: Profile, now: datetime
) -> list[OutboxRow]:
    """Whoever loses a contact and whoever gets it hear of it, as often as the limit of messages allows."""
    changed: tuple[tuple[Notice, list[Told]], ...] = (
        ("phone-changed", old_and_new(old.phone, new.phone, "sms")),
        ("email-changed", old_and_new(old.email, new.email, "email")),
    )
    found: list[OutboxRow] = []
    for notice, told in changed:
        allowed = [one for one in told if await _may_tell(admin, counters, row["user_id"], one)]
        found += rows(admin.contacts, row, notice, allowed, now)
    return found


async def _may_tell(admin: Administration, counters: Counters, user_id: UUID, told: Told) -> bool:
    """Count one notice. Notices have counters of their own: edits must not use up the messages of a login."""
    names, to = Names(admin.search), search_hash(admin.search, told.channel, told.contact)
    counted = (names.of("notices", told.channel, user_id), names.of("notices-to", to.hex()))
    if allowed := await counters.take((counted, admin.notices)):
        return allowed
    log.warning("notice_not_made", user_id=str(user_id), channel=told.channel, reason="too-many-messages")
    return False
