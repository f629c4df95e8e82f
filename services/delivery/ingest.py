"""From raw records to durable rows: decode, check, write, go on. A record that nobody can use becomes a dead letter."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import structlog

from schemas import codec, topics
from schemas.events import (
    EmailFallbackRequested,
    Event,
    ExpireAll,
    LoginChallenged,
    LoginClosed,
    NoticeRequested,
    Verified,
)
from services.delivery.compose import Secrets
from services.delivery.intake import Bin, Challenge, Closing, DeadLetterRow, Floor, Intake, NotStorable, Record, Slots
from services.delivery.notices import cause_of_notice
from services.delivery.outcomes import row_id
from services.platform import metrics
from services.platform.clock import Clock, is_ahead
from services.platform.keys.contacts import Bound, LoginSecrets, SealBroken, open_login
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.keys.keyring import UnknownKey
from services.platform.postgres import until_it_works

log = structlog.get_logger()

CAUSE: Final = re.compile(r"login|resend:[1-9][0-9]{0,3}")  # the others are delivery's own
LONGEST_LIFE: Final = timedelta(minutes=10)
LONGEST_NOTICE: Final = timedelta(hours=24)
CLOCKS_DIFFER: Final = timedelta(minutes=1)

Sealed = LoginChallenged | EmailFallbackRequested | NoticeRequested


class BadRecord(Exception):
    """It will never be usable; the text is the reason's name."""


class Ingest:
    """One method per topic; each returns once every record of the batch is written or a dead letter."""

    def __init__(
        self, intake: Intake, slots: Slots, secrets: Secrets, verifier: Verifier, bin_: Bin, clock: Clock
    ) -> None:
        self._intake, self._slots, self._bin = intake, slots, bin_
        self._secrets, self._verifier, self._clock = secrets, verifier, clock

    async def challenges(self, records: Sequence[Record]) -> None:
        await self._take(records, self._challenge, self._write_challenges)

    async def emails(self, records: Sequence[Record]) -> None:
        await self._take(records, self._email, self._write_emails)

    async def sessions(self, records: Sequence[Record]) -> None:
        await self._take(records, self._session, self._write_closings)

    async def outcomes(self, records: Sequence[Record]) -> None:
        await self._take(records, self._outcome, self._write_closings)

    async def dead_letters(self, records: Sequence[Record]) -> None:
        """Letters that are not in our form are counted and left: they must not make letters of their own."""
        rows = [row for record in records if (row := letter_of(record)) is not None]
        await self._keep_letters(rows)

    async def _keep_letters(self, rows: Sequence[DeadLetterRow]) -> None:
        if not rows:
            return
        try:
            await until_it_works(lambda: self._intake.dead_letters(rows), "ingest_waits")
        except NotStorable:
            if len(rows) == 1:
                log.warning("dead_letter_not_storable")
                return
            for row in rows:
                await self._keep_letters([row])

    async def _take(
        self,
        records: Sequence[Record],
        read: Callable[[Record], Any],
        write: Callable[[Sequence[Any]], Awaitable[None]],
    ) -> None:
        good: list[tuple[Record, Any]] = []
        for record in records:
            try:
                found = read(record)
            except BadRecord as bad:
                await self._bin.send(record, str(bad))
                continue
            if found is not None:
                good.append((record, found))
        await self._write(good, write)

    async def _write(
        self, good: Sequence[tuple[Record, Any]], write: Callable[[Sequence[Any]], Awaitable[None]]
    ) -> None:
        if not good:
            return
        try:
            await until_it_works(lambda: write([found for _, found in good]), "ingest_waits")
        except NotStorable:
            if len(good) == 1:
                await self._bin.send(good[0][0], "not-storable")
                return
            for one in good:
                await self._write([one], write)

    async def _write_challenges(self, found: Sequence[Challenge]) -> None:
        jobs = await self._intake.challenges(found, self._slots.free)
        self._slots.start(jobs)
        if len(jobs) < len(found):
            self._slots.wake()

    async def _write_emails(self, found: Sequence[tuple[UUID, str]]) -> None:
        self._slots.start(await self._intake.emails(found, self._slots.free))

    async def _write_closings(self, found: Sequence[Closing | Floor]) -> None:
        closed = [one for one in found if isinstance(one, Closing)]
        if await self._intake.closings(closed, [one for one in found if isinstance(one, Floor)]):
            self._slots.wake()

    def _challenge(self, record: Record) -> Challenge:
        event = decoded(record)
        if not isinstance(event, LoginChallenged | NoticeRequested):
            raise BadRecord("wrong-topic")
        inside = self._opened(event, bound_of(event))
        found = challenge_of(event) if isinstance(event, LoginChallenged) else notice_of(event)
        if found.expires_at > self._clock.now() + longest_life(event) + CLOCKS_DIFFER:
            raise BadRecord("life-too-long")
        if inside is None:
            return found._replace(opened=False)
        return found._replace(recipient=self._secrets.recipient(found.channel, inside))

    def _email(self, record: Record) -> tuple[UUID, str]:
        event = decoded(record)
        if not isinstance(event, EmailFallbackRequested):
            raise BadRecord("wrong-topic")
        self._opened(event, bound_of(event))
        return uuid_in(event.login_id), event.cause

    def _opened(self, event: Sealed, bound: Bound) -> LoginSecrets | None:
        """A challenge that was made up, copied, redirected or prolonged does not open. A new key may be on its way."""
        try:
            return open_login(self._secrets.contacts, bound, event.sealed)
        except UnknownKey:
            log.warning("contacts_key_unknown", login_id=str(event.login_id))
            return None
        except (SealBroken, ValueError):
            metrics.FORGED.labels("challenge").inc()
            raise BadRecord("seal-broken") from None

    def _session(self, record: Record) -> Closing | Floor | None:
        event = decoded(record)
        if topics.is_signed(event):
            self._check_signature(record)
        match event:
            case Verified():
                return closing_of(event, "verified")
            case ExpireAll():
                return self._floor(event)
            case _:
                return None

    def _check_signature(self, record: Record) -> None:
        try:
            self._verifier.verify_record(record)
        except BadSignature:
            metrics.FORGED.labels("session-event").inc()
            raise BadRecord("bad-signature") from None

    def _floor(self, event: ExpireAll) -> Floor:
        if is_ahead(event.floor, self._clock.now().timestamp()):
            raise BadRecord("floor-ahead")
        return Floor(event.scope, uuid_in(event.whose), event.floor)

    def _outcome(self, record: Record) -> Closing | Floor | None:
        event = decoded(record)
        return closing_of(event, event.reason) if isinstance(event, LoginClosed) else None


def decoded(record: Record) -> Event:
    """Raises `BadRecord`."""
    try:
        return codec.decode_for(record.topic, record.value or b"")
    except codec.BadEvent as bad:
        raise BadRecord(bad.reason) from None


def uuid_in(text: object) -> UUID:
    """Raises `BadRecord` when it is none."""
    try:
        return UUID(str(text))
    except ValueError:
        raise BadRecord("bad-id") from None


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


def longest_life(event: LoginChallenged | NoticeRequested) -> timedelta:
    return LONGEST_LIFE if isinstance(event, LoginChallenged) else LONGEST_NOTICE


def closing_of(event: Verified | LoginClosed, why: str) -> Closing | None:
    if event.login_id is None:
        return None
    who = (uuid_in(event.login_id), uuid_in(event.account_id), uuid_in(event.user_id))
    return Closing(*who, getattr(event, "account_epoch", None), getattr(event, "user_epoch", None), why)


def letter_of(record: Record) -> DeadLetterRow | None:
    """The row of a dead letter: where it came from and why; its bytes stay sealed."""
    headers = dict(record.headers or ())
    try:
        told = [headers[name].decode() for name in ("topic", "partition", "offset", "reason", "service")]
        where = (told[0][:200], int(told[1][:9]), int(told[2][:18]), told[3][:200], told[4][:50])
    except (KeyError, ValueError, UnicodeDecodeError):
        log.warning("dead_letter_unreadable", partition=record.partition, offset=record.offset)
        return None
    name = uuid5(UUID(int=0), f"{record.topic}\x1f{record.partition}\x1f{record.offset}")
    return DeadLetterRow(name, *where, record.key or b"", record.value or b"")
