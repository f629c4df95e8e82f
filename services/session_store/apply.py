"""Session events into Postgres: idempotent and free of order, so that both roads may bring the same one."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from schemas import codec, topics
from schemas.events import ExpireAll, SessionPolicyChanged, SessionRevoked, Verified
from services.platform.keys.grants import Verifier
from services.session_store.memory import SessionEvent

LATEST_FLOOR_MS: Final = 5_000
SESSION: Final = """
INSERT INTO sessions (login_id, account_id, user_id, issued_at, auth_time, secret_hash, amr, acr, aud, role, claims,
                      device, account_epoch, user_epoch)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (login_id) DO NOTHING
"""
FLOOR: Final = """
INSERT INTO floors (scope, id, floor) VALUES ($1, $2, $3)
ON CONFLICT (scope, id) DO UPDATE SET floor = greatest(floors.floor, excluded.floor)
"""
POLICY: Final = """
INSERT INTO policies (account_id, effective_at, max_age) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
REVOKE: Final = "INSERT INTO revocations (login_id) VALUES ($1) ON CONFLICT DO NOTHING"
STOP: Final = "INSERT INTO stopped_accounts (account_id, event_type) VALUES ($1, $2) ON CONFLICT DO NOTHING"


class UnknownEvent(Exception):
    """A signed event of a type that this version does not know: its account is stopped, not skipped."""

    def __init__(self, account_id: UUID, event_type: str) -> None:
        super().__init__(event_type)
        self.account_id = account_id
        self.event_type = event_type


class Refused(Exception):
    """An event that must have no effect; the text is the dead letter's reason."""


def read(verifier: Verifier, key: bytes, value: bytes, signature: bytes | None, now: datetime) -> SessionEvent:
    """The event, its signature checked first. Raises `BadSignature`, `BadEvent`, `Refused`, `UnknownEvent`.

    `SessionRevoked` is the store's own and unsigned: it can only end a session.
    """
    found = codec.peek(value)
    if found is None or found.type != SessionRevoked.__name__:
        verifier.verify(topics.SESSION_EVENTS.name, key, value, signature)
    try:
        event = codec.decode_for(topics.SESSION_EVENTS.name, value)
    except codec.BadEvent as bad:
        if bad.reason == "unknown-type" and found is not None and _is_id(found.account_id):
            raise UnknownEvent(UUID(found.account_id), found.type) from None
        raise
    return _sensible(event, key, now)


def _sensible(event: Any, key: bytes, now: datetime) -> SessionEvent:
    if not all(_is_id(each) for each in (event.account_id, event.user_id, event.login_id) if each is not None):
        raise Refused("bad-id")
    try:
        expected = topics.key_of(event)
    except ValueError:
        raise Refused("bad-id") from None
    if isinstance(event, Verified) and event.login_id is None:
        raise Refused("bad-id")
    if key != expected:
        raise Refused("wrong-key")
    if isinstance(event, ExpireAll) and event.floor > now.astimezone(UTC).timestamp() * 1000 + LATEST_FLOOR_MS:
        raise Refused("floor-in-the-future")
    found: SessionEvent = event
    return found


def _is_id(text: str) -> bool:
    """Whether it is a UUID in its one canonical form."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


async def write(connection: Any, events: Sequence[SessionEvent]) -> None:
    """Apply in the caller's transaction."""
    for event in events:
        match event:
            case Verified():
                await connection.execute(SESSION, *_columns(event))
            case ExpireAll():
                await connection.execute(FLOOR, event.scope, event.whose, event.floor)
            case SessionPolicyChanged():
                await connection.execute(POLICY, event.account_id, event.effective_at, event.max_age)
            case SessionRevoked():
                await connection.execute(REVOKE, event.login_id)


def _columns(event: Verified) -> tuple[Any, ...]:
    return (
        event.login_id,
        event.account_id,
        event.user_id,
        event.issued_at,
        event.auth_time,
        base64.urlsafe_b64decode(event.secret_hash),
        list(event.amr),
        event.acr,
        event.aud,
        event.role,
        event.claims,
        event.device,
        event.account_epoch,
        event.user_epoch,
    )
