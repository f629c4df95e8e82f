"""Sliding windows in Postgres, shared by all processes. Names are keyed hashes of what is counted."""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from services.login_gateway.ports import Rule, StillBusy

# One statement for all names, in the order given: parallel calls cannot slip through, and cannot lock crosswise.
TAKE: Final = """
INSERT INTO counters AS c (name, hits, expires_at)
SELECT name, ARRAY[now()], now() + make_interval(secs => longest)
FROM unnest($1::bytea[], $2::int[]) WITH ORDINALITY AS n (name, longest, place) ORDER BY place
ON CONFLICT (name) DO UPDATE
SET hits = ARRAY(SELECT h FROM unnest(c.hits) h WHERE h > now() - (excluded.expires_at - now())) || now(),
    expires_at = excluded.expires_at
WHERE NOT EXISTS (
    SELECT FROM unnest($3::bytea[], $4::int[], $5::int[]) AS rule(name, most, seconds)
    WHERE rule.name = c.name
    AND (SELECT count(*) FROM unnest(c.hits) h WHERE h > now() - make_interval(secs => rule.seconds)) >= rule.most
)
RETURNING name
"""
# What is under way counts like a wrong one until it ends: parallel guesses cannot slip through either. One whose
# gateway died never ends, and is taken for lost after a minute; one that ends later still counts.
BEGIN: Final = """
INSERT INTO counters AS c (name, under_way, expires_at)
VALUES ($1, ARRAY[now()], now() + make_interval(secs => $3))
ON CONFLICT (name) DO UPDATE
SET hits = ARRAY(SELECT h FROM unnest(c.hits) h WHERE h > now() - make_interval(secs => $3)),
    under_way = ARRAY(SELECT u FROM unnest(c.under_way) u WHERE u > now() - interval '1 minute') || now(),
    expires_at = excluded.expires_at
WHERE (SELECT count(*) FROM unnest(c.hits) h WHERE h > now() - make_interval(secs => $3))
    + (SELECT count(*) FROM unnest(c.under_way) u WHERE u > now() - interval '1 minute') < $2
RETURNING true
"""
# What is under way may have ended since it stood in the way: only wrong ones say no.
ONLY_BUSY: Final = """
SELECT (SELECT count(*) FROM unnest(hits) h WHERE h > now() - make_interval(secs => $3)) < $2
FROM counters WHERE name = $1
"""
# Rows are locked in one order first: an update by itself locks them as they lie on the disk, and two wait crosswise.
# The array is hidden from the planner, which else plans anew for each: that took as long as the update.
END: Final = """
WITH counted AS MATERIALIZED (
    SELECT FROM counters WHERE name = ANY((SELECT $1::bytea[])::bytea[]) ORDER BY name FOR UPDATE
), ended AS (
    UPDATE counters SET under_way = trim_array(under_way, least(1, cardinality(under_way))),
        hits = CASE WHEN $2 THEN hits || now() ELSE hits END
    WHERE name = ANY((SELECT $1::bytea[])::bytea[]) AND (SELECT count(*) FROM counted) > 0
)
SELECT clock_timestamp()
"""
PATIENCE_SECONDS = 8.0
GIVE_BACK: Final = "UPDATE counters SET hits = trim_array(hits, 1) WHERE name = $1 AND cardinality(hits) > 0"
FORGET: Final = "UPDATE counters SET hits = '{}' WHERE name = $1"


class PostgresCounters:
    """On a pool, or on a connection: then it counts with that connection's transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def take(self, *wanted: tuple[Sequence[bytes], Sequence[Rule]]) -> bool:
        """Count one more of each name by its rules, or of none. No name comes twice."""
        names = [(name, max(rule.seconds for rule in rules)) for group, rules in wanted for name in group]
        each = [(name, *rule) for group, rules in wanted for name in group for rule in rules]
        taken = await self._connection.fetch(TAKE, *zip(*names, strict=True), *zip(*each, strict=True))
        if len(taken) == len(names):
            return True
        await self.give_back([row["name"] for row in taken])
        return False

    async def give_back(self, names: Sequence[bytes]) -> None:
        """Uncount what turned out right, or never went out: one by one, in the order in which they were counted."""
        for name in names:
            await self._connection.execute(GIVE_BACK, name)

    async def forget(self, name: bytes) -> None:
        await self._connection.execute(FORGET, name)

    async def begin(self, name: bytes, rule: Rule) -> bool:
        """Count one guess as under way; `end` it. Waits while only guesses under way stand in the way."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        while not await self._connection.fetchval(BEGIN, name, rule.most, rule.seconds):
            if await self._connection.fetchval(ONLY_BUSY, name, rule.most, rule.seconds) is False:
                return False
            if loop.time() > deadline:
                raise StillBusy
            await asyncio.sleep(random.uniform(0.02, 0.05))  # noqa: S311
        return True

    async def end(self, names: Sequence[bytes], wrong: bool) -> datetime:
        """A guess is not under way any more; gives the instant, by the database's clock."""
        at: datetime = await self._connection.fetchval(END, list(names), wrong)
        return at
