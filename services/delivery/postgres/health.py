"""`health.Vitals` on asyncpg. Every count is capped and every look is short, whatever has piled up."""

from __future__ import annotations

from typing import Any, Final

import asyncpg

from services.delivery.health import Calls, Read, Recent, Stand, Standing, Waiting
from services.delivery.pauses import Pause
from services.delivery.postgres.controls import PAUSED, PROVIDER
from services.delivery.postgres.ledger import QUEUES
from services.delivery.postgres.letters import OPEN
from services.delivery.vendor_errors import RECIPIENTS_OWN
from services.platform import migrate, outbox

# The heads of the queues, each by its index: of a million that wait, a row for each account and channel is read.
WAITING: Final = f"""
{QUEUES}, heads AS (
    SELECT h.challenged_at FROM queues q CROSS JOIN LATERAL (
        SELECT challenged_at FROM deliveries d
        WHERE d.account_id = q.account_id AND d.channel = q.channel AND d.state = 'queued' AND d.due_at <= now()
        ORDER BY d.due_at LIMIT 1
    ) h
), counted AS (SELECT due_at, expires_at FROM deliveries WHERE state = 'queued' LIMIT 10000)
SELECT (SELECT count(*) FROM counted WHERE due_at <= now()) AS due,
    coalesce((SELECT extract(epoch FROM now() - min(challenged_at)) FROM heads), 0)::float8 AS oldest_seconds,
    (SELECT count(*) FROM counted WHERE due_at > now() AND due_at = expires_at) AS held_back,
    (SELECT count(*) FROM (SELECT FROM deliveries WHERE state IN ('sending', 'sent')
        AND due_at < now() - interval '5 seconds' LIMIT 10000) late) AS overdue
"""  # noqa: S608 - made of constants
NEWEST: Final = """
SELECT * FROM (SELECT at, what, delivery_id, channel, cause, provider, reason, ms FROM delivery_log
               ORDER BY id DESC LIMIT 20000) newest WHERE at > now() - interval '5 minutes'
"""
CALLS: Final = f"""
WITH recent AS (
    SELECT *, coalesce(split_part(reason, ':', 1) = ANY($1::text[]), false) AS of_number,
        CASE WHEN ms IS NOT NULL THEN what NOT IN ('sent', 'delivered') ELSE what = 'undelivered' END AS bad
    FROM ({NEWEST}) found
)
SELECT provider, channel, count(ms) AS calls,
    count(ms) FILTER (WHERE bad AND NOT of_number) AS failed,
    count(*) FILTER (WHERE ms IS NULL AND bad AND NOT of_number) AS undelivered,
    count(*) FILTER (WHERE bad AND of_number) AS of_numbers,
    mode() WITHIN GROUP (ORDER BY reason) FILTER (WHERE bad AND NOT of_number) AS reason,
    count(*) FILTER (WHERE reason = 'no-receipt') AS no_receipt,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY ms) AS p95_ms
FROM recent WHERE provider IS NOT NULL AND channel IS NOT NULL GROUP BY provider, channel ORDER BY channel, provider
"""  # noqa: S608 - made of constants
SHARE: Final = f"""
SELECT count(DISTINCT delivery_id) FILTER (WHERE channel = 'sms') AS sms,
    count(DISTINCT delivery_id) FILTER (WHERE cause LIKE 'fallback:%' AND what = 'queued') AS fallbacks
FROM ({NEWEST}) recent
"""  # noqa: S608
GUARDED: Final = f"""
SELECT reason, count(DISTINCT delivery_id) AS stopped FROM ({NEWEST}) recent
WHERE what = 'failed' AND reason LIKE 'guard-%' GROUP BY reason ORDER BY stopped DESC, reason
"""  # noqa: S608
OPEN_LETTERS: Final = f"SELECT count(*) FROM (SELECT FROM dead_letters WHERE {OPEN} LIMIT 10000) o"  # noqa: S608
PROVIDERS: Final = f"SELECT {PROVIDER} FROM providers ORDER BY channel, position, name"  # noqa: S608


class PostgresVitals:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def stand(self) -> Stand:
        async with self._pool.acquire() as connection:
            return Stand(**await _stand(connection))

    async def read(self) -> Read:
        async with self._pool.acquire() as connection:
            return Read(
                **await _stand(connection),
                now=await connection.fetchval("SELECT clock_timestamp()"),
                recent=await _recent(connection),
                paused=[Pause(**dict(row)) for row in await connection.fetch(PAUSED)],
                providers=[dict(row) for row in await connection.fetch(PROVIDERS)],
                migrations=await migrate.missing(connection, "delivery"),
            )


async def _stand(connection: Any) -> dict[str, Any]:
    return {
        "waiting": Waiting(**(await _row(connection, WAITING))),
        "outbox": Standing(**await outbox.standing(connection)),
        "dead_letters": await connection.fetchval(OPEN_LETTERS),
    }


async def _recent(connection: Any) -> Recent:
    rows = await connection.fetch(CALLS, sorted(RECIPIENTS_OWN))
    guarded = {row["reason"]: row["stopped"] for row in await connection.fetch(GUARDED)}
    providers = [Calls(**dict(row)) for row in rows]
    return Recent(providers=providers, guarded=guarded, **(await _row(connection, SHARE)))


async def _row(connection: Any, statement: str) -> dict[str, Any]:
    return dict(await connection.fetchrow(statement))
