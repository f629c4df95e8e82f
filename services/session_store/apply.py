"""Session events into Postgres: idempotent and free of order, so that both roads may bring the same one."""

import base64
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final, assert_never
from uuid import UUID

import structlog

from schemas import codec, topics
from schemas.events import ExpireAll, SessionPolicyChanged, SessionRevoked, Verified
from services.platform import metrics
from services.platform.clock import is_ahead
from services.platform.keys.grants import Verifier
from services.platform.tracing import TRACES
from services.session_store.memory import Change, SessionEvent, Stop

log = structlog.get_logger()

SESSION: Final = """
INSERT INTO sessions (login_id, account_id, user_id, issued_at, auth_time, secret_hash, amr, acr, aud, role, claims,
                      device, account_epoch, user_epoch)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (login_id) DO NOTHING
"""
FLOOR: Final = """
INSERT INTO floors (scope, id, floor) VALUES ($1, $2, $3)
ON CONFLICT (scope, id) DO UPDATE SET floor = greatest(floors.floor, excluded.floor)
"""
ERASE: Final = "INSERT INTO erasures (account_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
POLICY: Final = """
INSERT INTO policies (account_id, effective_at, max_age) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
REVOKE: Final = "INSERT INTO revocations (login_id) VALUES ($1) ON CONFLICT DO NOTHING"
STOP: Final = "INSERT INTO stopped_accounts (account_id, event_type) VALUES ($1, $2) ON CONFLICT DO NOTHING"


class Refused(Exception):
    """An event that must have no effect; the text is the dead letter's reason."""


def read(verifier: Verifier, key: bytes, value: bytes, signature: bytes | None, now: float) -> Change:
    """The event, its signature checked first. Raises `BadSignature`, `BadEvent`, `Refused`.

    `now` is the database's clock, in Unix seconds. A signed event of unknown type becomes a `Stop`.

    `SessionRevoked` is the store's own and unsigned: it can only end a session.
    """
    found = codec.peek(value)
    if found is None or found.type != SessionRevoked.__name__:
        verifier.verify(topics.SESSION_EVENTS.name, key, value, signature)
    try:
        event = codec.decode_for(topics.SESSION_EVENTS.name, value)
    except codec.BadEvent as bad:
        if bad.reason == "unknown-type" and found is not None and _is_id(found.account_id):
            return Stop(UUID(found.account_id), found.type)
        raise
    return _sensible(event, key, now)


def _sensible(event: Any, key: bytes, now: float) -> SessionEvent:
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
    if isinstance(event, ExpireAll) and is_ahead(event.floor, now):
        raise Refused("floor-ahead")
    found: SessionEvent = event
    return found


def _is_id(text: str) -> bool:
    """Whether it is a UUID in its one canonical form."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


async def write(connection: Any, changes: Sequence[Change]) -> None:
    """Apply in the caller's transaction; sessions go to the server at once, in one order for whoever brings them."""
    if begun := [_columns(change) for change in changes if isinstance(change, Verified)]:
        await connection.executemany(SESSION, sorted(begun, key=itemgetter(0)))
    for change in changes:
        match change:
            case Verified():
                continue
            case ExpireAll():
                await _expire(connection, change)
            case SessionPolicyChanged():
                await connection.execute(POLICY, change.account_id, change.effective_at, change.max_age)
            case SessionRevoked():
                await connection.execute(REVOKE, change.login_id)
            case Stop():
                metrics.UNKNOWN_EVENTS.inc()
                log.error("unknown_session_event", event_type=change.event_type, account_id=str(change.account_id))
                await connection.execute(STOP, change.account_id, change.event_type)
            case _:
                assert_never(change)


def tell(changes: Sequence[Change], seconds: float, road: str) -> None:
    """The sessions that stand in Postgres now, each in the trace of its login."""
    if not TRACES.on:
        return
    for change in changes:
        if isinstance(change, Verified) and change.login_id is not None:
            TRACES.tell("session", UUID(change.login_id), seconds, road=road)


async def _expire(connection: Any, change: ExpireAll) -> None:
    await connection.execute(FLOOR, change.scope, change.whose, change.floor)
    if change.erased and change.scope == "user":
        await connection.execute(ERASE, change.account_id, change.user_id)


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
