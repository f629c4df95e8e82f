"""What grows too old in the gateway's tables."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from services.login_gateway.settings import GatewaySettings
from services.platform.clock import Clock
from services.platform.housekeeping import MINUTE, Chore, Done, done_by, parked, rows

LOGINS: Final = """
DELETE FROM logins WHERE login_id IN (
    SELECT login_id FROM logins WHERE login_id < $1 AND state <> 'pending' ORDER BY login_id LIMIT $2
    FOR UPDATE SKIP LOCKED)
"""
# A login outlives its reference: what it is asked for no more, it need not keep.
REFERENCES: Final = """
UPDATE logins SET reference = NULL WHERE login_id IN (
    SELECT login_id FROM logins WHERE login_id < $1 AND reference IS NOT NULL ORDER BY login_id LIMIT $2
    FOR UPDATE SKIP LOCKED)
"""
COUNTERS: Final = """
DELETE FROM counters WHERE name IN (
    SELECT name FROM counters WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
"""
IDEMPOTENCY: Final = """
DELETE FROM idempotency WHERE (user_id, key) IN (
    SELECT user_id, key FROM idempotency WHERE expires_at < now() - interval '1 minute'
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
"""
FEED_MINUTES: Final = """
DELETE FROM feed_minutes WHERE (client_id, minute) IN (
    SELECT client_id, minute FROM feed_minutes WHERE minute < now() - interval '2 hours'
    ORDER BY minute LIMIT $1 FOR UPDATE SKIP LOCKED)
"""


REFERENCES_GOOD_FOR: Final = timedelta(hours=49)  # an hour more than promised: made and asked by two clocks


def chores(settings: GatewaySettings, clock: Clock) -> list[Chore]:
    return [
        # `republish` needs the verified ones of the topic's seven days.
        _older("logins", LOGINS, timedelta(days=settings.keep_logins_days), clock),
        _older("references", REFERENCES, REFERENCES_GOOD_FOR, clock),
        rows("counters", MINUTE / 4, COUNTERS),
        rows("idempotency-keys", MINUTE / 4, IDEMPOTENCY),
        rows("feed-minutes", MINUTE, FEED_MINUTES),
        parked(settings.keep_parked_days),
    ]


def _older(name: str, statement: str, age: timedelta, clock: Clock) -> Chore:
    """What `statement` does to logins of more than this age."""

    async def step(connection: Any, limit: int) -> Done:
        return done_by(await connection.execute(statement, first_id_of(clock.now() - age), limit), limit)

    return Chore(name, MINUTE / 4, step)


def first_id_of(instant: datetime) -> UUID:
    """A login_id begins with the millisecond it was made (UUIDv7, RFC 9562): age is a range of the primary key."""
    return UUID(int=int(instant.timestamp() * 1000) << 80)
