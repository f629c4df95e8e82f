"""What operators read: lists and timelines."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from services.delivery.deliveries import (
    NONE,
    Delivery,
    Failure,
    Failures,
    Found,
    ListQuery,
    Position,
    Step,
    Timeline,
    told,
)
from services.delivery.states import TROUBLE, Reason
from services.delivery.unreached import Unreached

HELD: Final = "state = 'queued' AND due_at = expires_at"
SHOWN: Final = f"""id AS delivery_id, login_id, account_id AS account, user_id AS user, channel, cause, state,
    CASE WHEN {HELD} THEN 'paused' ELSE reason END AS reason,
    provider, masked AS to, country, tries, created_at, updated_at, due_at, expires_at, email_off"""
# One condition leads: an index has its rows in the order of the list. The other ones are looked for among the newest
# of them, so that what is rare, or nowhere, does not have the whole table read.
LED: Final = """deliveries WHERE {lead} AND ($1::timestamptz IS NULL OR (created_at, id) < ($1, $2::uuid))
    AND ($3::timestamptz IS NULL OR created_at >= $3) AND ($4::timestamptz IS NULL OR created_at < $4)
ORDER BY created_at DESC, id DESC"""
PAGE: Final = f"""
SELECT {SHOWN} FROM (SELECT * FROM {LED} LIMIT {{walk}}) d WHERE {{others}}
ORDER BY created_at DESC, id DESC LIMIT $5
"""  # noqa: S608 - made of constants
CUT: Final = f"SELECT created_at, id FROM {LED} OFFSET {{walk}} - 1 LIMIT 1"  # noqa: S608
# A plan that collects rows and sorts them reads all of them first.
IN_ORDER: Final = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
WALK: Final = 20_000
LEADS: Final = ("login_id", "user_id", "email_off", "trouble", "not_arrived", "account_id")
LAST: Final = """
SELECT coalesce(max(id) FILTER (WHERE at < now() - interval '2 seconds'), min(id) - 1, 0)
FROM (SELECT id, at FROM delivery_log ORDER BY id DESC LIMIT 500) newest
"""
NOT_ARRIVED: Final = "state IN ('failed', 'undelivered', 'unknown', 'expired')"
# Of a row `d`. OFFSET keeps each look a look by the login's key: the planner joins else, and reads all that arrived.
UNREACHED: Final = """d.sealed_event <> 'NoticeRequested' AND NOT EXISTS (
    SELECT FROM deliveries o WHERE o.login_id = d.login_id AND o.sealed_event <> 'NoticeRequested'
        AND o.state || '' IN ('queued', 'sending', 'sent', 'delivered') OFFSET 0
) AND NOT EXISTS (SELECT FROM logins l WHERE l.login_id = d.login_id AND l.closed_why = 'verified' OFFSET 0)"""
LOOKED: Final = 5_000
PEOPLE: Final = f"""
WITH newest AS MATERIALIZED (
    SELECT login_id, user_id, sealed_event FROM deliveries WHERE {NOT_ARRIVED} AND created_at >= $1
    ORDER BY created_at DESC, id DESC LIMIT {LOOKED}
)
SELECT count(DISTINCT user_id) AS people, count(DISTINCT login_id) AS logins,
    (SELECT count(*) >= {LOOKED} FROM newest) AS more
FROM newest d WHERE {UNREACHED}
"""  # noqa: S608 - made of constants
COUNTED: Final = 20_000
FAILURES: Final = f"""
SELECT state, reason, channel, provider, sum(many)::bigint AS many, count(*) AS accounts, sum(live)::bigint AS live,
    min(live_since) AS live_since, min(first_at) AS first_at, max(last_at) AS last_at
FROM (
    SELECT state, reason, channel, provider, count(*) AS many, count(*) FILTER (WHERE expires_at > now()) AS live,
        min(created_at) FILTER (WHERE expires_at > now()) AS live_since,
        min(created_at) AS first_at, max(created_at) AS last_at
    FROM (
        SELECT state, reason, channel, provider, account_id, expires_at, created_at FROM deliveries
        WHERE {NOT_ARRIVED} AND created_at >= $1 AND ($2::uuid IS NULL OR account_id = $2)
        ORDER BY created_at DESC, id DESC LIMIT {COUNTED}
    ) newest
    GROUP BY state, reason, channel, provider, account_id
) by_account
GROUP BY state, reason, channel, provider ORDER BY many DESC, last_at DESC, reason LIMIT 200
"""  # noqa: S608 - made of constants
STEPS: Final = "id, at, what, login_id, delivery_id, account_id AS account, channel, cause, provider, reason, ms"


class Statement(NamedTuple):
    """A page's statement, the one that finds where its look ended, and what both take."""

    page: str
    cut: str
    led_by: tuple[Any, ...]
    others: tuple[Any, ...]


def statement(of: ListQuery, walk: int = WALK) -> Statement:
    """`$1` to `$4`: where to go on and from when to when; `$5`: how many rows; then the filters' own values."""
    given = [(name, text, value) for name, text, value in _conditions(of) if value is not None]
    lead = next((found for name in LEADS for found in given if found[0] == name), None)
    others = [found for found in given if found is not lead]
    first = 6 + len(others)
    texts = [text.replace("?", f"${number}") for number, (_, text, _) in enumerate(others, 6)]
    led = lead[1].replace("?", f"${first}") if lead else "true"
    cut = lead[1].replace("?", "$5") if lead else "true"
    return Statement(
        page=PAGE.format(lead=led, walk=walk, others=" AND ".join(texts) or "true"),
        cut=CUT.format(lead=cut, walk=walk),
        led_by=(lead[2],) if lead else (),
        others=tuple(value for _, _, value in others),
    )


def _conditions(of: ListQuery) -> tuple[tuple[str, str, Any], ...]:
    state = "trouble" if of.state in TROUBLE else "state"
    reason = f"?::text IN (coalesce(reason, '{NONE}'), split_part(reason, ':', 1))"
    trouble, unreached = f"{NOT_ARRIVED} AND state = ?::text", of.unreached or None
    return (
        ("login_id", "login_id = ?::uuid", of.login_id),
        ("user_id", "user_id = ?::uuid", of.user),
        ("email_off", "email_off AND ?::boolean", of.email_off or None),
        (state, trouble if state == "trouble" else "state = ?::text", of.state),
        ("not_arrived", f"{NOT_ARRIVED} AND ?::boolean", unreached),
        ("unreached", f"{UNREACHED} AND ?::boolean", unreached),
        ("account_id", "account_id = ?::uuid", of.account),
        ("reason", f"({reason} OR {HELD})" if of.reason == Reason.PAUSED else reason, of.reason),
        ("provider", f"coalesce(provider, '{NONE}') = ?::text", of.provider),
        ("channel", "channel = ?::text", of.channel),
        ("country", "country = ?::text", of.country),
        ("cause", "split_part(cause, ':', 1) = ?::text", of.cause),
        ("replay", "cause = 'replay:' || ?::text", of.replay),
    )


class PostgresReading:
    """`deliveries.Reading` on asyncpg. `walk`: how many rows one page looks at, at most."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], walk: int = WALK) -> None:
        self._pool, self._walk = pool, walk

    async def page(self, asked: ListQuery, after: Position | None, limit: int) -> Found:
        made = statement(asked, self._walk)
        span = (*(after or (None, None)), asked.since, asked.until)
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(IN_ORDER)
            rows = await connection.fetch(made.page, *span, limit, *made.others, *made.led_by)
            found = [Delivery(**dict(row)) for row in rows]
            if len(found) >= limit or not made.others:
                return Found(found, None)
            cut = await connection.fetchrow(made.cut, *span, *made.led_by)
            return Found(found, Position(*cut) if cut is not None else None)

    async def timeline(self, login_id: UUID, account: UUID | None) -> Timeline | None:
        login = await self._pool.fetchrow("SELECT * FROM login_states WHERE login_id = $1", login_id)
        if login is None or (account is not None and login["account_id"] != account):
            return None
        rows = await self._pool.fetch(
            f"SELECT {SHOWN} FROM deliveries WHERE login_id = $1 ORDER BY created_at, id",  # noqa: S608
            login_id,
        )
        steps = await self._pool.fetch(f"SELECT {STEPS} FROM delivery_log WHERE login_id = $1 ORDER BY id", login_id)  # noqa: S608
        begun_at = await self._pool.fetchval("SELECT min(begun_at) FROM deliveries WHERE login_id = $1", login_id)
        return Timeline(
            login_id=login_id,
            account=login["account_id"],
            user=login["user_id"],
            closed=login["why"],
            begun_at=begun_at,
            expires_at=login["expires_at"],
            deliveries=[Delivery(**dict(row)) for row in rows],
            steps=list(told((Step(**dict(row)) for row in steps), begun_at)),
        )

    async def steps_after(self, last: int, limit: int) -> list[Step]:
        rows = await self._pool.fetch(
            f"SELECT {STEPS} FROM delivery_log WHERE id > $1 ORDER BY id LIMIT $2",  # noqa: S608
            last,
            limit,
        )
        return [Step(**dict(row)) for row in rows]

    async def newest_steps(self, looked_at: int) -> list[Step]:
        """Oldest first."""
        query = f"SELECT {STEPS} FROM delivery_log ORDER BY id DESC LIMIT $1"  # noqa: S608
        return [Step(**dict(row)) for row in reversed(await self._pool.fetch(query, looked_at))]

    async def failures(self, since: datetime, account: UUID | None) -> Failures:
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(IN_ORDER)
            found = [Failure(**dict(row)) for row in await connection.fetch(FAILURES, since, account)]
        return Failures(found, sum(one.many for one in found) >= COUNTED)

    async def unreached(self, since: datetime) -> Unreached:
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(IN_ORDER)
            (found,) = await connection.fetch(PEOPLE, since)
        return Unreached(**dict(found))

    async def last_step(self) -> int:
        """The newest line that no other can come before any more, as far as the newest lines tell."""
        return int(await self._pool.fetchval(LAST))
