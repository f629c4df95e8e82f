"""A user who was erased: what of their contacts stands in delivery's rows goes, also what comes afterwards."""

from typing import Any, Final
from uuid import UUID

from services.platform.housekeeping import Chore, Done

EVERY_SECONDS: Final = 5.0
USERS: Final = 20
TOPIC_DAYS: Final = 8  # the topics keep seven: then nothing more can come
REMEMBER: Final = "INSERT INTO erasures (user_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING"
DUE: Final = "SELECT user_id FROM erasures WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED"
# Whoever has the number now may go on being known by it.
FORGET_NUMBERS: Final = """
DELETE FROM guard_proven p WHERE recipient IN (SELECT recipient FROM deliveries WHERE user_id = $1)
    AND NOT EXISTS (SELECT FROM deliveries o WHERE o.recipient = p.recipient AND o.user_id <> $1)
"""
# A message that is under way ends within minutes, since its login is closed: the next look finds it.
EMPTY: Final = """
WITH left_over AS (
    SELECT id, login_id FROM deliveries
    WHERE user_id = $1 AND due_at IS NULL AND sealed <> '' LIMIT $2 FOR UPDATE SKIP LOCKED
), devices AS (
    UPDATE logins SET device = NULL FROM left_over WHERE logins.login_id = left_over.login_id AND device IS NOT NULL
)
UPDATE deliveries d SET sealed = '', masked = '', masked_email = NULL, recipient = NULL, prefixes = NULL,
    locale = NULL, origin = NULL
FROM left_over WHERE d.id = left_over.id
"""
LETTERS: Final = "DELETE FROM dead_letters WHERE key = $1"
# Soon again at first, then ever more seldom.
AGAIN: Final = "UPDATE erasures SET due_at = now() + (now() - at) + interval '5 seconds' WHERE user_id = $1"
FORGOTTEN: Final = "DELETE FROM erasures WHERE user_id = $1 AND at < now() - make_interval(days => $2)"


def erasures() -> Chore:
    return Chore("erasures", EVERY_SECONDS, step)


async def step(connection: Any, limit: int) -> Done:
    due = [row["user_id"] for row in await connection.fetch(DUE, USERS)]
    done = 0
    for user_id in due:
        emptied = await _erase(connection, user_id, limit)
        done += emptied.rows
        if not emptied.more:
            await connection.execute(AGAIN, user_id)
            await connection.execute(FORGOTTEN, user_id, TOPIC_DAYS)
    return Done(done, more=len(due) == USERS or done >= limit)


async def _erase(connection: Any, user_id: UUID, limit: int) -> Done:
    await connection.execute(FORGET_NUMBERS, user_id)
    emptied = int((await connection.execute(EMPTY, user_id, limit)).rpartition(" ")[2])
    letters = int((await connection.execute(LETTERS, str(user_id).encode())).rpartition(" ")[2])
    return Done(emptied + letters, emptied == limit)
