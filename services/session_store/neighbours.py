"""What other processes of the store committed themselves: a NOTIFY names ids, and their rows are read.

Kafka may not have it: that is what the second road is for. So each process listens on a connection of its own, and its
memory answers only while that connection was heard of within two seconds and nothing that it said is left unread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import structlog

from schemas.events import ExpireAll, SessionPolicyChanged, SessionRevoked, Verified
from services.platform.postgres import AWAY
from services.session_store.memory import REVOKED_SECONDS, Change, Memory, Rules
from services.session_store.policy import Policy

log = structlog.get_logger()

CHANNEL: Final = "gatepost_session_ends"
TELL: Final = "SELECT pg_notify($1, $2)"
IDS_AT_ONCE: Final = 200  # 6,600 bytes; a payload holds fewer than 8,000
BEAT_SECONDS: Final = 0.4
PATIENCE_SECONDS: Final = 3.0  # with a connection; what it said is trusted for less
TRUSTED_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 0.2
FLOORS: Final = "SELECT scope, id, floor FROM floors"
POLICIES: Final = "SELECT account_id, effective_at, max_age FROM policies"
STOPPED: Final = "SELECT account_id FROM stopped_accounts"
RULES: Final = (FLOORS, POLICIES, STOPPED)
RULES_OF: Final = (
    FLOORS + " WHERE id = ANY($1::uuid[])",
    POLICIES + " WHERE account_id = ANY($1::uuid[])",
    STOPPED + " WHERE account_id = ANY($1::uuid[])",
)
REVOKED: Final = "SELECT login_id FROM revocations"
REVOKED_OF: Final = REVOKED + " WHERE login_id = ANY($1::uuid[])"
REVOKED_SINCE: Final = REVOKED + " WHERE revoked_at > $1::timestamptz - $2::float8 * interval '1 second'"

# The server itself says that nobody gets in: no neighbour commits anything either.
DOWN: Final = (ConnectionRefusedError, asyncpg.CannotConnectNowError)


class Known(NamedTuple):
    """Rows of what ends sessions."""

    floors: Sequence[Any] = ()
    policies: Sequence[Any] = ()
    stopped: Sequence[Any] = ()
    revoked: Sequence[Any] = ()


async def everything_known(connection: Any, as_of: datetime) -> Known:
    """All rules, and the revocations that memory may still need to know by name at that instant."""
    floors, policies, stopped = [await connection.fetch(query) for query in RULES]
    return Known(floors, policies, stopped, await connection.fetch(REVOKED_SINCE, as_of, REVOKED_SECONDS))


def id_of(change: Change) -> UUID | None:
    """Whose rows a change is found by; a session that begins is found in Postgres by whoever misses it."""
    match change:
        case Verified():
            return None
        case ExpireAll():
            return UUID(change.whose)
        case SessionRevoked():
            return UUID(change.login_id)
        case SessionPolicyChanged():
            return UUID(change.account_id)
    return change.account_id


async def tell(connection: Any, changes: Iterable[Change]) -> None:
    """Name, in the caller's transaction, what it writes."""
    found = sorted({named.hex for named in map(id_of, changes) if named is not None})
    for start in range(0, len(found), IDS_AT_ONCE):
        await connection.execute(TELL, CHANNEL, ",".join(found[start : start + IDS_AT_ONCE]))


class Neighbours:
    """`run` hands on what they committed; `current` says whether nothing of it can be missing."""

    def __init__(self, dsn: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._dsn = dsn
        self._monotonic = monotonic
        self._heard = float("-inf")
        self._named: set[UUID] = set()
        self._everything = True
        self._stirred = asyncio.Event()
        self._as_of: datetime | None = None

    def current(self) -> bool:
        """By monotonic time alone: no query."""
        return self._monotonic() - self._heard <= TRUSTED_SECONDS

    async def run(self, learn: Callable[[Known], None]) -> None:
        """Listen for ever; after every gap all that may have been missed is read again."""
        while True:
            try:
                await self._listen(learn)
            except (*AWAY, asyncpg.PostgresError) as away:
                log.warning("neighbours_not_heard", error=type(away).__name__)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _listen(self, learn: Callable[[Known], None]) -> None:
        connection = await self._connected()
        try:
            await connection.add_listener(CHANNEL, self._hear)
            self._everything, before = True, self._monotonic()
            while True:
                asked = self._monotonic()
                learn(await self._read(connection))
                # What was committed before the last question had been named when its answer came, and is read now.
                self._heard, before = before, asked
                await self._wait()
        finally:
            connection.terminate()

    async def _connected(self) -> asyncpg.Connection[asyncpg.Record]:
        asked = self._monotonic()
        settings = {"application_name": "gatepost-session-store-neighbours"}
        try:
            return await asyncpg.connect(
                self._dsn, timeout=PATIENCE_SECONDS, command_timeout=PATIENCE_SECONDS, server_settings=settings
            )
        except DOWN:
            if self.current():
                self._heard = asked
            raise

    def _hear(self, _: Any, __: int, ___: str, payload: object) -> None:
        try:
            self._named.update(UUID(hex=each) for each in str(payload).split(","))
        except ValueError:
            self._everything = True
        self._stirred.set()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                await self._stirred.wait()
        self._stirred.clear()

    async def _read(self, connection: Any) -> Known:
        named, self._named = list(self._named), set()
        everything, self._everything = self._everything, False
        now = await connection.fetchval("SELECT clock_timestamp()")
        known = Known()
        if everything:
            known = await everything_known(connection, self._as_of or now)
        elif named:
            floors, policies, stopped = [await connection.fetch(query, named) for query in RULES_OF]
            known = Known(floors, policies, stopped, await connection.fetch(REVOKED_OF, named))
        self._as_of = now
        return known


def remember(memory: Memory, known: Known, now: float) -> None:
    fill(memory.rules, known.floors, known.policies, known.stopped)
    for row in known.revoked:
        memory.revoke(row["login_id"], now)


def fill(rules: Rules, floors: Any, policies: Any, stopped: Any) -> None:
    for row in floors:
        rules.raise_floor(row["scope"], row["id"], row["floor"])
    for row in policies:
        rules.add_policy(row["account_id"], Policy(row["effective_at"].timestamp(), row["max_age"]))
    rules.stopped.update(row["account_id"] for row in stopped)
