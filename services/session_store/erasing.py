"""A user who was erased: their sessions ended by a floor; the rows, which hold claims and a device's name, go too."""

from typing import Any, Final

from services.platform.housekeeping import Chore, Done

EVERY_SECONDS: Final = 5.0
TOPIC_DAYS: Final = 8  # the topic keeps seven: then nothing more can come
DUE: Final = """
SELECT account_id, user_id FROM erasures WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
"""
SESSIONS: Final = """
DELETE FROM sessions WHERE login_id IN (
    SELECT login_id FROM sessions WHERE account_id = $1 AND user_id = $2 LIMIT $3 FOR UPDATE SKIP LOCKED)
"""
# Soon again at first, then ever more seldom.
AGAIN: Final = "UPDATE erasures SET due_at = now() + (now() - at) + interval '5 seconds' WHERE user_id = $1"
FORGOTTEN: Final = "DELETE FROM erasures WHERE user_id = $1 AND at < now() - make_interval(days => $2)"
USERS: Final = 20


def erasures() -> Chore:
    return Chore("erasures", EVERY_SECONDS, step)


async def step(connection: Any, limit: int) -> Done:
    due = await connection.fetch(DUE, USERS)
    total = 0
    for account_id, user_id in due:
        gone = int((await connection.execute(SESSIONS, account_id, user_id, limit)).rpartition(" ")[2])
        total += gone
        if gone < limit:
            await connection.execute(AGAIN, user_id)
            await connection.execute(FORGOTTEN, user_id, TOPIC_DAYS)
    return Done(total, more=len(due) == USERS or total >= limit)
