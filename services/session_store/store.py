"""What the routes do with sessions: look, list, revoke, take events by the second road."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
from aiohttp import web

from schemas import codec, topics
from schemas.events import SessionRevoked
from services.platform import metrics
from services.platform.clock import event_id
from services.platform.http import Problem
from services.platform.keys.grants import BadSignature, Verifier
from services.platform.keys.tokens import BadToken, SessionTokens, Token
from services.platform.outbox import Outbox, insert, row_for
from services.session_store import apply
from services.session_store.memory import Session, SessionEvent
from services.session_store.reader import Reader, Unknown

LIST: Final = """
SELECT s.login_id, s.account_id, s.user_id, s.issued_at, s.acr, s.aud, s.device, s.account_epoch, s.user_epoch,
       s.auth_time, s.secret_hash, s.amr, s.role, s.claims
FROM sessions s LEFT JOIN revocations r USING (login_id)
WHERE s.account_id = $1 AND ($2::uuid IS NULL OR s.user_id = $2) AND r IS NULL AND ($3::uuid IS NULL OR login_id < $3)
ORDER BY login_id DESC LIMIT $4
"""
BY_AGE: Final = """
SELECT count(*) FILTER (WHERE issued_at > now() - interval '1 day') AS day,
       count(*) FILTER (WHERE issued_at > now() - interval '7 days') AS week,
       count(*) FILTER (WHERE issued_at > now() - interval '30 days') AS month, count(*) AS all
FROM sessions WHERE account_id = $1 AND ($2::uuid IS NULL OR user_id = $2)
"""


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
    reader: Reader
    tokens: SessionTokens
    verifier: Verifier
    outbox: Outbox

    def read(self, token: str) -> Token | None:
        """A true token of ours, or None for a forged one; no lookup is made for it."""
        try:
            return self.tokens.read(token)
        except BadToken:
            metrics.FORGED.labels("token").inc()
            return None

    async def session(self, token: str) -> Session | None:
        """The live session of a token. Raises 503 when that cannot be told."""
        read = self.read(token)
        if read is None:
            return None
        try:
            return await self.reader.alive(read)
        except Unknown as why:
            raise Problem(503, "session-unknown", f"Not known now: {why}. Ask again.", {"Retry-After": "1"}) from None

    async def revoke(self, session: Session, by: str) -> str:
        """Leave the tombstone, then tell the others; gives `now` or `queued`."""
        event = _revoked(session, by)
        row = row_for(event)
        async with self.pool.acquire() as connection, connection.transaction():
            await apply.write(connection, [event])
            await insert(connection, [row])
        self.reader.forget(session.login_id)
        return await self.outbox.effective([row])

    async def find(self, login_id: UUID) -> Session | None:
        row = await self.pool.fetchrow("SELECT * FROM sessions WHERE login_id = $1", login_id)
        return None if row is None else Session.of_row(dict(row))

    async def listed(self, account: UUID, user: UUID | None, before: UUID | None, limit: int) -> list[Session]:
        rows = await self.pool.fetch(LIST, account, user, before, limit)
        return [Session.of_row(dict(row)) for row in rows]

    async def by_age(self, account: UUID, user: UUID | None) -> dict[str, int]:
        return dict(await self.pool.fetchrow(BY_AGE, account, user) or {})

    async def take(self, sent: Sequence[SentEvent]) -> int:
        """Events by the second road. Raises 400 `bad-event` and applies nothing when one of them is bad."""
        events = [self._checked(each) for each in sent]
        async with self.pool.acquire() as connection, connection.transaction():
            await apply.write(connection, events)
        for event in events:
            self.reader.memory.apply(event)
        return len(events)

    def _checked(self, sent: SentEvent) -> SessionEvent:
        if sent.topic != topics.SESSION_EVENTS.name:
            raise Problem(400, "bad-event", f"Only events of {topics.SESSION_EVENTS.name} come this way.")
        try:
            return apply.read(self.verifier, sent.key, sent.value, sent.signature, datetime.now(UTC))
        except (BadSignature, codec.BadEvent, apply.Refused, apply.UnknownEvent) as bad:
            metrics.FORGED.labels("second-road").inc()
            raise Problem(400, "bad-event", f"The event was refused ({type(bad).__name__}).") from None


def _revoked(session: Session, by: str) -> SessionRevoked:
    return SessionRevoked(
        id=event_id("SessionRevoked", session.login_id),
        source="gatepost/session-store",
        time=datetime.now(UTC),
        account_id=str(session.account_id),
        user_id=str(session.user_id),
        login_id=str(session.login_id),
        by=by,
    )


STORE: web.AppKey[Store] = web.AppKey("store", Store)
