"""What the routes do with sessions: look, list, revoke, take events by the second road."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import msgspec
from aiohttp import web

from schemas import codec, topics
from schemas.events import SessionRevoked, Verified
from services.platform import metrics
from services.platform.clock import event_id
from services.platform.cookies import session_cookie
from services.platform.http import Problem
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.keys.tokens import BadToken, SessionTokens, Token
from services.platform.outbox import Outbox, OutboxRow, insert, row_for
from services.session_store import apply, neighbours
from services.session_store.clock import DatabaseClock
from services.session_store.memory import Change, Rules, Session
from services.session_store.reader import Alive, Reader, Unknown


class SentEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event of the second road: base64 of the bytes that go to Kafka too."""

    topic: str
    key: bytes
    value: bytes
    signature: bytes = b""


@dataclass(frozen=True)
class Store:
    """The session store's collaborators."""

    pool: asyncpg.Pool[asyncpg.Record]
    clock: DatabaseClock
    reader: Reader
    tokens: SessionTokens
    verifier: Verifier
    outbox: Outbox
    issuer: str | None = None
    cookie: str = session_cookie(None)
    """The browser's cookie that forward auth reads."""

    def read(self, token: str) -> Token | None:
        """A true token of ours, or None for a forged one; no lookup is made for it."""
        try:
            return self.tokens.read(token)
        except BadToken:
            metrics.FORGED.labels("token").inc()
            return None

    async def alive(self, token: str) -> Alive | None:
        """The live session of a token. Raises 503 when that cannot be told."""
        read = self.read(token)
        if read is None:
            return None
        try:
            return await self.reader.alive(read)
        except Unknown as why:
            raise _unknown(why) from None

    async def rules(self, account: UUID, users: Iterable[UUID]) -> Rules:
        """What ends that account's sessions. Raises 503 when that cannot be told."""
        try:
            rules = await self.reader.rules({account, *users})
        except Unknown as why:
            raise _unknown(why) from None
        if account in rules.stopped:
            raise _unknown(Unknown("this account is stopped: an event of unknown type"))
        return rules

    async def revoke(self, session: Session, by: str) -> str:
        """Leave the tombstone, then tell the others; gives `now` or `queued`."""
        event = _revoked(session, by, datetime.fromtimestamp(self.clock.now(), UTC))
        row = row_for(event, of_login=False)
        await self._commit([event], [row])
        return await self.outbox.effective([row])

    async def find(self, login_id: UUID) -> Session | None:
        row = await self.pool.fetchrow("SELECT * FROM sessions WHERE login_id = $1", login_id)
        return None if row is None else Session.of_row(dict(row))

    async def take(self, sent: Sequence[SentEvent]) -> int:
        """Events by the second road. Raises 400 `bad-event` and applies nothing when one of them is bad.

        What ends sessions goes on to the topic from here: the gateway may be cut off from Kafka, the other stores not.
        """
        began = time.monotonic()
        changes = [self._checked(each) for each in sent]
        ends = [relayed(each) for each, change in zip(sent, changes, strict=True) if not isinstance(change, Verified)]
        await self._commit(changes, ends)
        self.outbox.publish_soon(ends)
        apply.tell(changes, time.monotonic() - began, "second")
        return len(changes)

    async def _commit(self, changes: Sequence[Change], rows: Sequence[OutboxRow]) -> None:
        """Into Postgres, for the neighbours and for the topic as one; then into this process's own memory."""
        async with self.pool.acquire() as connection, connection.transaction():
            await apply.write(connection, changes)
            await insert(connection, rows)
            await neighbours.tell(connection, changes)
        self.reader.apply(changes)

    def _checked(self, sent: SentEvent) -> Change:
        if sent.topic != topics.SESSION_EVENTS.name:
            raise Problem(400, "bad-event", f"Only events of {topics.SESSION_EVENTS.name} come this way.")
        try:
            return apply.read(self.verifier, sent.key, sent.value, sent.signature, self.clock.now())
        except (BadSignature, codec.BadEvent, apply.Refused) as bad:
            metrics.FORGED.labels("second-road").inc()
            raise Problem(400, "bad-event", f"The event was refused ({type(bad).__name__}).") from None


def relayed(sent: SentEvent) -> OutboxRow:
    """The same bytes for the topic."""
    signature = base64.urlsafe_b64encode(sent.signature).decode()
    row_id = UUID(event_id("second road", sent.key.hex(), sent.value.hex()))
    return OutboxRow(row_id, sent.topic, sent.key, sent.value, {topics.SIGNATURE_HEADER: signature})


def _unknown(why: Unknown) -> Problem:
    return Problem(503, "session-unknown", f"Not known now: {why}. Ask again.", {"Retry-After": "1"})


def _revoked(session: Session, by: str, now: datetime) -> SessionRevoked:
    return SessionRevoked(
        id=event_id("SessionRevoked", session.login_id),
        source="gatepost/session-store",
        time=now,
        account_id=str(session.account_id),
        user_id=str(session.user_id),
        login_id=str(session.login_id),
        by=by,
    )


STORE: web.AppKey[Store] = web.AppKey("store", Store)
