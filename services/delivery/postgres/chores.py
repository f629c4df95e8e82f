"""What grows too old in delivery's tables."""

from typing import Final

from services.delivery.postgres import guard
from services.delivery.postgres.erasing import erasures
from services.delivery.settings import DeliverySettings
from services.platform.housekeeping import HOUR, MINUTE, Chore, parked, rows

# As a whole: the login, its messages, their steps.
LOGINS: Final = """
WITH old AS (
    SELECT login_id FROM logins WHERE expires_at < now() - make_interval(days => $1)
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
), steps AS (
    DELETE FROM delivery_log l USING old WHERE l.login_id = old.login_id
), messages AS (
    DELETE FROM deliveries d USING old WHERE d.login_id = old.login_id
)
DELETE FROM logins USING old WHERE logins.login_id = old.login_id
"""
DEAD_LETTERS: Final = """
DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters WHERE at < now() - make_interval(days => $1)
    ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
REPLAYS: Final = """
DELETE FROM replays WHERE (account_id, id) IN (
    SELECT account_id, id FROM replays WHERE state <> 'running' AND ended_at < now() - make_interval(days => $1)
    ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


def chores(settings: DeliverySettings) -> list[Chore]:
    window = settings.guard_window.total_seconds()
    return [
        rows("logins", MINUTE, LOGINS, settings.keep_deliveries_days),
        rows("dead-letters", HOUR, DEAD_LETTERS, settings.keep_dead_letters_days),
        rows("replays", HOUR, REPLAYS, settings.keep_replays_days),
        *(rows(name.replace("_", "-"), 10 * MINUTE, statement, window) for name, statement in guard.TIDY.items()),
        erasures(),
        parked(settings.keep_parked_days),
    ]
