"""`replay.Replays` and `replaying.Steps` on asyncpg: the table of replays."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from services.delivery.deliveries import Wanted
from services.delivery.postgres import replay_rows as rows
from services.delivery.replay import (
    REPLAYED,
    AnotherRuns,
    Asked,
    Candidate,
    Counted,
    IdTaken,
    Limits,
    Missed,
    Place,
    Replay,
    Sorted,
    cause_of,
    place_of,
    seconds_left,
    sorted_out,
    wanted_of,
    with_rest,
)
from services.delivery.replaying import size_of_step
from services.delivery.states import TROUBLE
from services.platform import audit, failpoints
from services.platform.auth import EVERY, Who

LOOKED_AT_ONCE: Final = 500
COUNTED_AT_ONCE: Final = 2  # statements that count take seconds after a great outage: codes need the other connections
# Steps and beginnings come one after the other: each counts what the others gave a user and a number.
ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtext('gatepost replays'))"
SHOWN: Final = "id, account_id, state, by, at, filter, per_second, more, planned, counts, ended_at, stopped_by"
FIND: Final = f"""
SELECT {SHOWN} FROM replays WHERE ($1::text IS NULL OR account_id = $1) AND id = $2
ORDER BY account_id = '*' DESC, at DESC LIMIT 1
"""  # noqa: S608 - made of constants
PAGE: Final = f"""
SELECT {SHOWN} FROM replays
WHERE ($1::text IS NULL OR account_id = $1) AND (at, account_id, id) < ($2::timestamptz, $3::text, $4::text)
ORDER BY at DESC, account_id DESC, id DESC LIMIT $5
"""  # noqa: S608
RUNNING: Final = "SELECT id FROM replays WHERE account_id = $1 AND state = 'running'"
BEGIN: Final = """
INSERT INTO replays (id, account_id, by, filter, per_second, planned, more, counts, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, '{}', 'running') ON CONFLICT (account_id, id) DO NOTHING RETURNING at
"""
FORGET: Final = "DELETE FROM replays WHERE account_id = $1 AND id = $2"
GO_ON: Final = """
UPDATE replays SET state = 'running', due_at = now(), per_second = coalesce($3, per_second),
    ended_at = NULL, stopped_by = NULL
WHERE account_id = $1 AND id = $2 AND state = 'stopped'
"""
STOP: Final = """
UPDATE replays SET state = 'stopped', ended_at = now(), stopped_by = $3
WHERE account_id = $1 AND id = $2 AND state = 'running' RETURNING counts
"""
JOB: Final = "id, account_id, by, filter, per_second, planned, more, counts, at, after_at, after_id, now() AS now"
DUE: Final = f"""
SELECT {JOB} FROM replays WHERE state = 'running' AND due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""  # noqa: S608
OWN: Final = f"SELECT {JOB} FROM replays WHERE account_id = $1 AND id = $2 AND state = 'running' FOR UPDATE"  # noqa: S608
NEXT_DUE: Final = "SELECT extract(epoch FROM min(due_at) - now())::float8 FROM replays WHERE state = 'running'"
# A worker that was late makes up for a second at most.
MOVE_ON: Final = """
UPDATE replays SET counts = $3, after_at = $4, after_id = $5,
    due_at = greatest(due_at, now() - interval '1 second') + make_interval(secs => $6 / per_second),
    state = CASE WHEN $7 THEN 'done' ELSE state END, ended_at = CASE WHEN $7 THEN now() END
WHERE account_id = $1 AND id = $2
"""


class PostgresReplays:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], limits: Limits) -> None:
        self._pool, self._limits = pool, limits
        self._counting = asyncio.Semaphore(COUNTED_AT_ONCE)

    async def candidates(self, of: Wanted, after: Place | None, limit: int) -> list[Candidate]:
        async with self._counting, self._pool.acquire() as connection:
            now = await connection.fetchval("SELECT now()")
            return await rows.candidates(connection, of, after or Place(now, rows.FIRST_ID), now, limit)

    async def count_without(self, of: Wanted) -> dict[str, int]:
        async with self._counting:
            return await rows.count_without(self._pool, of)

    async def begin(self, asked: Asked, planned: Counted, who: Who) -> Replay:
        """The row and its first step; who comes second with the same id finds it. Raises `AnotherRuns`, `IdTaken`."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(ONE_AT_A_TIME)
            if earlier := await self._again(connection, asked, who):
                return earlier
            await _refuse_beside_another(connection, asked)
            await connection.execute(FORGET, asked.account, asked.replay_id)
            given = (asked.replay_id, asked.account, who.name, asked.filter, asked.per_second)
            await connection.fetchval(BEGIN, *given, planned.counts, planned.more)
            details = {"filter": asked.filter, "per_second": asked.per_second, "planned": planned.counts}
            await _audit(connection, who.name, "deliveries.replay", asked.account, asked.replay_id, details)
            await self._carry_on(connection, await connection.fetchrow(OWN, asked.account, asked.replay_id))
            begun = await _found(connection, asked.account, asked.replay_id)
        return msgspec.structs.replace(begun, without=planned.without)

    async def again(self, asked: Asked, who: Who) -> Replay | None:
        """The replay of that id that matched anything; a stopped one goes on. Raises `AnotherRuns`, `IdTaken`: also
        for a new id, before anything is counted for it.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(ONE_AT_A_TIME)
            earlier = await self._again(connection, asked, who)
            if earlier is None:
                await _refuse_beside_another(connection, asked)
        return earlier

    async def _again(self, connection: Any, asked: Asked, who: Who) -> Replay | None:
        earlier = await self._find(connection, asked.replay_id, asked.account)
        if earlier is None or _spent_on_nothing(earlier):
            return None
        if earlier.filter != asked.filter:
            raise IdTaken
        if earlier.state == "stopped":
            await _refuse_beside_another(connection, asked)
            rate = None if asked.default_rate else asked.per_second
            await connection.execute(GO_ON, asked.account, asked.replay_id, rate)
            await _audit(connection, who.name, "deliveries.replay-go-on", asked.account, asked.replay_id, {})
            earlier = await _found(connection, asked.account, asked.replay_id)
        return msgspec.structs.replace(earlier, repeated=True)

    async def stop(self, account: str, replay_id: str, who: Who) -> None:
        """What is queued already goes out; nothing more is."""
        async with self._pool.acquire() as connection, connection.transaction():
            counts = await connection.fetchval(STOP, account, replay_id, who.name)
            if counts is not None:
                details = {"counts": counts}
                await _audit(connection, who.name, "deliveries.replay-stop", account, replay_id, details)

    async def lately(self, who: str) -> int:
        query = "SELECT count(*) FROM replays WHERE by = $1 AND at > now() - interval '1 minute'"
        return int(await self._pool.fetchval(query, who))

    async def find(self, replay_id: str, account: str | None) -> Replay | None:
        """`account` None: the newest of that id, one over all accounts first."""
        async with self._pool.acquire() as connection:
            found = await self._find(connection, replay_id, account)
            if found is None:
                return None
            own = None if found.account == EVERY else found.account
            sums = await connection.fetch(rows.BECAME, cause_of(replay_id, found.account), own)
        became: Counter[str] = Counter()
        for row in sums:
            became[row["state"]] += row["many"]
        missed = [Missed(**dict(row)) for row in sums if row["state"] in TROUBLE]
        return msgspec.structs.replace(found, became=dict(became), not_arrived=missed)

    async def page(self, account: str | None, before: tuple[datetime, str, str], limit: int) -> list[Replay]:
        return [_replay(row) for row in await self._pool.fetch(PAGE, account, *before, limit)]

    async def step(self) -> float | None:
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                job = await connection.fetchrow(DUE)
                if job is not None:
                    await connection.execute(ONE_AT_A_TIME)
                    await self._carry_on(connection, job)
            due: float | None = await connection.fetchval(NEXT_DUE)
        return due

    async def _find(self, connection: Any, replay_id: str, account: str | None) -> Replay | None:
        row = await connection.fetchrow(FIND, account, replay_id)
        return _replay(row) if row else None

    async def _carry_on(self, connection: Any, job: Any) -> None:
        after, wanted = Place(job["after_at"], job["after_id"]), wanted_of(job["filter"])
        found = await rows.candidates(connection, wanted, after, job["at"], LOOKED_AT_ONCE)
        sorted_ = sorted_out(found, job["now"], self._limits, size_of_step(job["per_second"]))
        made = await rows.send_again(connection, sorted_.chosen, cause_of(job["id"], job["account_id"]))
        failpoints.reached("delivery.in-replay")
        is_done = sorted_.looked == len(found) < LOOKED_AT_ONCE
        last = place_of(found[sorted_.looked - 1]) if sorted_.looked else after
        counts = _counts(job["counts"], sorted_, made)
        counts = with_rest(job["planned"], job["more"], counts) if is_done else counts
        await connection.execute(MOVE_ON, job["account_id"], job["id"], counts, *last, float(made), is_done)
        if is_done:
            details = {"filter": job["filter"], "counts": counts}
            await _audit(connection, job["by"], "deliveries.replay-done", job["account_id"], job["id"], details)


def _counts(so_far: dict[str, int], step: Sorted, made: int) -> dict[str, int]:
    """What was taken between judging and sending is under way."""
    counts = Counter({REPLAYED: 0} | so_far)
    counts.update(step.counts)
    if late := len(step.chosen) - made:
        counts.update({REPLAYED: -late, "under-way": late})
    return dict(counts)


def _spent_on_nothing(earlier: Replay) -> bool:
    """It matched nothing: an id is not used up by that."""
    return earlier.state == "done" and not earlier.matched


async def _refuse_beside_another(connection: Any, asked: Asked) -> None:
    if other := await connection.fetchval(RUNNING, asked.account):
        raise AnotherRuns(other)


async def _found(connection: Any, account: str, replay_id: str) -> Replay:
    return _replay(await connection.fetchrow(FIND, account, replay_id))


async def _audit(connection: Any, who: str, action: str, account: str, replay_id: str, details: dict[str, Any]) -> None:
    await audit.record(connection, who, action, None if account == EVERY else account, replay_id, details)


def _replay(row: Any) -> Replay:
    given = dict(row)
    replay_id, account = given.pop("id"), given.pop("account_id")
    left = seconds_left(given["state"], given["planned"], given["counts"], given["per_second"])
    counts = {REPLAYED: 0} | given.pop("counts")
    matched = sum(given["planned"].values())
    return Replay(replay_id=replay_id, account=account, counts=counts, matched=matched, seconds_left=left, **given)
