"""From raw records to durable rows: decode, check, write, go on. A record that nobody can use becomes a dead letter."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
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
from services.delivery.challenges import Sealed, bound_of, row_of
from services.delivery.compose import Secrets
from services.delivery.fallback import kind_of
from services.delivery.intake import (
    BadRecord,
    Bin,
    Challenge,
    Closing,
    DeadLetterRow,
    Floor,
    Intake,
    NotStorable,
    Record,
    Slots,
    uuid_in,
)
from services.platform import metrics
from services.platform.clock import Clock, is_ahead
from services.platform.keys.contacts import Bound, LoginSecrets, open_login
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.keys.keyring import SealBroken, UnknownKey
from services.platform.postgres import until_it_works
from services.platform.tracing import TRACES

log = structlog.get_logger()


class Ingest:
    """One method per topic; each returns once every record of the batch is written or a dead letter: how many are."""

    def __init__(
        self, intake: Intake, slots: Slots, secrets: Secrets, verifier: Verifier, bin_: Bin, clock: Clock
    ) -> None:
        self._intake, self._slots, self._bin = intake, slots, bin_
        self._secrets, self._verifier, self._clock = secrets, verifier, clock

    async def challenges(self, records: Sequence[Record]) -> int:
        write = partial(self._write_challenges, self._clock.monotonic())
        return await self._take(records, self._challenge, write)

    async def emails(self, records: Sequence[Record]) -> int:
        return await self._take(records, self._email, partial(self._write_emails, self._clock.monotonic()))

    async def sessions(self, records: Sequence[Record]) -> int:
        return await self._take(records, self._session, self._write_closings)

    async def outcomes(self, records: Sequence[Record]) -> int:
        return await self._take(records, self._outcome, self._write_closings)

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
    ) -> int:
        bad, good = list[tuple[Record, str]](), list[tuple[Record, Any]]()
        for record in records:
            try:
                found = read(record)
            except BadRecord as why:
                bad.append((record, str(why)))
                continue
            if found is not None:
                good.append((record, found))
        not_storable = await self._write(good, write)
        # After those whose codes somebody waits for, and side by side: a flood of bad ones holds up nobody for long.
        await asyncio.gather(*(self._bin.send(record, reason) for record, reason in bad))
        return len(bad) + not_storable

    async def _write(
        self, good: Sequence[tuple[Record, Any]], write: Callable[[Sequence[Any]], Awaitable[None]]
    ) -> int:
        if not good:
            return 0
        try:
            await until_it_works(lambda: write([found for _, found in good]), "ingest_waits")
        except NotStorable:
            if len(good) == 1:
                await self._bin.send(good[0][0], "not-storable")
                return 1
            return sum([await self._write([one], write) for one in good])
        return 0

    async def _write_challenges(self, began: float, found: Sequence[Challenge]) -> None:
        with self._slots.hold(len(found)) as held:
            jobs = await self._intake.challenges(found, held)
            self._slots.start(jobs, held)
        if len(jobs) < len(found):
            self._slots.wake()
        for one in found:
            if one.sealed_event == LoginChallenged.__name__:
                self._tell(one.login_id, began, topics.LOGIN_CHALLENGES.name, one.cause)

    async def _write_emails(self, began: float, found: Sequence[tuple[UUID, str]]) -> None:
        with self._slots.hold(len(found)) as held:
            self._slots.start(await self._intake.emails(found, held), held)
        for login_id, cause in found:
            self._tell(login_id, began, topics.EMAIL_FALLBACKS.name, cause)

    def _tell(self, login_id: UUID, began: float, topic: str, cause: str) -> None:
        TRACES.tell("take", login_id, self._clock.monotonic() - began, topic=topic, cause=kind_of(cause))

    async def _write_closings(self, found: Sequence[Closing | Floor]) -> None:
        closed = [one for one in found if isinstance(one, Closing)]
        if await self._intake.closings(closed, [one for one in found if isinstance(one, Floor)]):
            self._slots.wake()

    def _challenge(self, record: Record) -> Challenge:
        event = decoded(record)
        if not isinstance(event, LoginChallenged | NoticeRequested):
            raise BadRecord("wrong-topic")
        inside = self._opened(event, bound_of(event))
        found = row_of(event, self._clock.now())
        if inside is None:
            return found._replace(opened=False)
        recipient = self._secrets.recipient(found.channel, inside)
        return found._replace(recipient=recipient, prefixes=self._secrets.prefixes(found.channel, inside))

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
                return closing_of(event, "verified", by_sms=event.channel == "sms")
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
        erased = event.erased and event.scope == "user"
        return Floor(event.scope, uuid_in(event.whose), event.floor, erased)

    def _outcome(self, record: Record) -> Closing | Floor | None:
        event = decoded(record)
        return closing_of(event, event.reason) if isinstance(event, LoginClosed) else None


def decoded(record: Record) -> Event:
    """Raises `BadRecord`."""
    try:
        return codec.decode_for(record.topic, record.value or b"")
    except codec.BadEvent as bad:
        raise BadRecord(bad.reason) from None


def closing_of(event: Verified | LoginClosed, why: str, by_sms: bool = False) -> Closing | None:
    if event.login_id is None:
        return None
    who = (uuid_in(event.login_id), uuid_in(event.account_id), uuid_in(event.user_id))
    return Closing(*who, getattr(event, "account_epoch", None), getattr(event, "user_epoch", None), why, by_sms)


def letter_of(record: Record) -> DeadLetterRow | None:
    """The row of a dead letter: where it came from and why; its bytes stay sealed."""
    headers = dict(record.headers or ())
    try:
        told = [(headers[name] or b"").decode() for name in ("topic", "partition", "offset", "reason", "service")]
        where = (told[0][:200], int(told[1][:9]), int(told[2][:18]), told[3][:200], told[4][:50])
    except (KeyError, ValueError, UnicodeDecodeError):
        log.warning("dead_letter_unreadable", partition=record.partition, offset=record.offset)
        return None
    name = uuid5(UUID(int=0), f"{record.topic}\x1f{record.partition}\x1f{record.offset}")
    return DeadLetterRow(name, *where, record.key or b"", record.value or b"")
