"""What still waits: messages not yet tried to the end, events not yet told, logins not yet over."""

import time
from contextlib import suppress
from typing import Final

import asyncpg

from deploy.local.stack import SERVICES
from tests.faults.recorder import rows
from tests.faults.town import Town

MESSAGES: Final = """
SELECT count(*) FROM deliveries
WHERE account_id = ANY($1::uuid[]) AND state IN ('queued', 'sending') AND created_at <= to_timestamp($2)
"""
LAST_EVENT: Final = "SELECT coalesce(max(seq), 0) FROM outbox"
EVENTS: Final = "SELECT count(*) FROM outbox WHERE parked IS NULL AND seq <= $1"
OPEN: Final = "SELECT count(*) FROM logins WHERE account_id = ANY($1::uuid[]) AND state = 'pending'"
VERIFIED: Final = "SELECT count(*) FROM logins WHERE account_id = ANY($1::uuid[]) AND state = 'verified'"
SESSIONS: Final = "SELECT count(*) FROM sessions WHERE account_id = ANY($1::uuid[])"
TROUBLE: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Backlog:
    """What there was when it was first looked at: the load goes on, and what came later is no sign of a fault."""

    def __init__(self, town: Town) -> None:
        self._town, self._since = town, time.time()
        self._marks: dict[str, int] = {}

    async def is_gone(self) -> bool:
        """A database that is away means that it is not."""
        with suppress(*TROUBLE):
            stack, ids = self._town.site.stack, self._town.record.accounts
            for name in SERVICES:
                if name not in self._marks:
                    self._marks[name] = (await rows(stack, name, LAST_EVENT))[0][0]
            counts = [(await rows(stack, "delivery", MESSAGES, ids, self._since))[0][0]]
            counts += [(await rows(stack, name, EVENTS, mark))[0][0] for name, mark in self._marks.items()]
            return not any(counts)
        return False


async def all_is_told(town: Town) -> bool:
    """No login is open, nothing waits, and the store has every session."""
    stack, ids = town.site.stack, town.record.accounts
    if (await rows(stack, "gateway", OPEN, ids))[0][0] or not await Backlog(town).is_gone():
        return False
    verified = (await rows(stack, "gateway", VERIFIED, ids))[0][0]
    return bool((await rows(stack, "session-store", SESSIONS, ids))[0][0] >= verified)
