"""`replay.Replays` on asyncpg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from services.delivery.outcomes import row_id
from services.delivery.postgres.reading import WANTED, wanted
from services.delivery.replay import AT_ONCE, Candidate, Replay, Request, account_in, cause_of, told
from services.platform import audit
from services.platform.auth import Who

WITHIN: Final = "count(*) FILTER (WHERE d.created_at > now() - interval '1 hour') AS hour, count(*) AS day"
# What reached a provider, or is about to: a refused message is nobody's nuisance.
COUNTED: Final = """d.created_at > now() - interval '1 day'
    AND (d.state IN ('sending', 'sent', 'delivered', 'undelivered', 'unknown')
         OR d.state = 'queued' AND d.cause LIKE 'replay:%')"""
# A later row of the login and channel: that code arrived, and the one before it makes no sense any more.
ARRIVED_SINCE: Final = "n.created_at > m.created_at AND n.state IN ('sent', 'delivered')"
CANDIDATES: Final = f"""
WITH matched AS (
    SELECT DISTINCT ON (login_id, channel) id, login_id, channel, user_id, recipient, expires_at, created_at
    FROM deliveries m
    WHERE {WANTED} AND ($3::text IS NOT NULL OR state IN ('failed', 'undelivered', 'unknown', 'expired'))
        AND NOT EXISTS (SELECT FROM deliveries n
                        WHERE n.login_id = m.login_id AND n.channel = m.channel AND {ARRIVED_SINCE})
    ORDER BY login_id, channel, created_at DESC
)
SELECT m.id, m.login_id, m.channel, m.user_id, m.recipient, m.expires_at,
    (SELECT why FROM login_states s WHERE s.login_id = m.login_id) AS why,
    EXISTS (SELECT FROM deliveries d WHERE d.login_id = m.login_id AND d.channel = m.channel
            AND d.state IN ('queued', 'sending')) AS under_way,
    u.hour AS user_hour, u.day AS user_day, t.hour AS to_hour, t.day AS to_day
FROM matched m, LATERAL (
    SELECT {WITHIN} FROM deliveries d WHERE d.user_id = m.user_id AND d.channel = m.channel AND {COUNTED}
) u, LATERAL (SELECT {WITHIN} FROM deliveries d WHERE d.recipient = m.recipient AND {COUNTED}) t
ORDER BY m.created_at DESC LIMIT $9
"""  # noqa: S608 - made of constants
AGAIN: Final = f"""
INSERT INTO deliveries (id, login_id, channel, cause, account_id, user_id, state, due_at, sealed, sealed_event,
    sealed_cause, masked, country, locale, origin, code_key_id, digits, begun_at, challenged_at, expires_at, recipient,
    prefixes, email_off)
SELECT g.new_id, login_id, channel, $3, account_id, user_id, 'queued',
    due(account_id, channel, country, expires_at), sealed, sealed_event, sealed_cause,
    masked, country, locale, origin, code_key_id, digits, begun_at, now(), expires_at, recipient, prefixes, email_off
FROM unnest($1::uuid[], $2::uuid[]) g (id, new_id) JOIN deliveries m USING (id)
WHERE NOT EXISTS (SELECT FROM deliveries n WHERE n.login_id = m.login_id AND n.channel = m.channel
                  AND (n.state IN ('queued', 'sending') OR {ARRIVED_SINCE}))
ON CONFLICT (login_id, channel, cause) DO NOTHING RETURNING id
"""  # noqa: S608 - made of constants
COUNTS: Final = """
SELECT counts FROM replays WHERE ($1::text IS NULL OR account_id = $1) AND id = $2
ORDER BY account_id = '*' DESC, at DESC LIMIT 1
"""
COUNTED_OUT: Final = "UPDATE replays SET counts = $3 WHERE account_id = $1 AND id = $2"
ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtext('gatepost replays'))"
LOG: Final = """
INSERT INTO delivery_log (login_id, delivery_id, account_id, what, channel, cause)
SELECT login_id, id, account_id, 'replayed', channel, cause FROM deliveries WHERE id = ANY($1::uuid[])
"""


class PostgresReplays:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def candidates(self, request: Request) -> list[Candidate]:
        rows = await self._pool.fetch(CANDIDATES, *wanted(request), AT_ONCE)
        return [Candidate(**dict(row)) for row in rows]

    async def once(self, replay: Replay, request: Request, chosen: Sequence[Candidate], who: Who) -> Replay:
        """The replay's row first: whoever comes second finds it, and does nothing."""
        key = (account_in(request), replay.replay_id)
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(ONE_AT_A_TIME)
            if not await _first(connection, replay, request, who):
                counts = await connection.fetchval(COUNTS, *key)
                return msgspec.structs.replace(replay, counts=counts, repeated=True)
            made = await self._again(connection, chosen, cause_of(replay.replay_id, key[0]))
            done = told(replay, len(made))
            await connection.execute(COUNTED_OUT, *key, done.counts)
            subject = (request.account, replay.replay_id, done.counts)
            await audit.record(connection, who.name, "deliveries.replay", *subject)
        return done

    async def _again(self, connection: Any, chosen: Sequence[Candidate], cause: str) -> list[UUID]:
        """The rows that were made; what another replay took a moment ago is under way already."""
        new = [row_id(c.login_id, c.channel, cause) for c in chosen]
        made = [row["id"] for row in await connection.fetch(AGAIN, [c.id for c in chosen], new, cause)]
        await connection.execute(LOG, made)
        return made

    async def lately(self, who: str) -> int:
        query = "SELECT count(*) FROM replays WHERE by = $1 AND at > now() - interval '1 minute'"
        return int(await self._pool.fetchval(query, who))

    async def find(self, replay_id: str, account: str | None) -> Replay | None:
        """`account` None: the newest of that id, one over all accounts first."""
        counts: dict[str, int] | None = await self._pool.fetchval(COUNTS, account, replay_id)
        if counts is None:
            return None
        return Replay(replay_id=replay_id, dry_run=False, matched=sum(counts.values()), counts=counts)


async def _first(connection: Any, replay: Replay, request: Request, who: Who) -> UUID | None:
    shown = {k: v for k, v in msgspec.to_builtins(request).items() if v is not None}
    made: UUID | None = await connection.fetchval(
        "INSERT INTO replays (id, account_id, by, filter, counts) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (account_id, id) DO NOTHING RETURNING at",
        replay.replay_id,
        account_in(request),
        who.name,
        shown,
        replay.counts,
    )
    return made
