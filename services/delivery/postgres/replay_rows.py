"""What a replay picks from the ledger, and the rows it makes there. Only filters that were given stand in a statement:
so the indexes of what did not arrive answer it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from services.delivery.deliveries import NONE, Wanted
from services.delivery.outcomes import row_id
from services.delivery.replay import Candidate, Place

FIRST_ID: Final = UUID(int=0)
HINTED_AT_MOST: Final = 1000
CONDITIONS: Final = {
    "account": "{row}.account_id = {given}",
    "login_id": "{row}.login_id = {given}",
    "reason": f"{{given}} IN (coalesce({{row}}.reason, '{NONE}'), split_part({{row}}.reason, ':', 1))",
    "provider": f"coalesce({{row}}.provider, '{NONE}') = {{given}}",
    "channel": "{row}.channel = {given}",
    "since": "{row}.created_at >= {given}",
    "until": "{row}.created_at < {given}",
}
DID_NOT_ARRIVE: Final = "{row}.state IN ('failed', 'undelivered', 'unknown', 'expired')"
WITHIN: Final = "count(*) FILTER (WHERE d.created_at > now() - interval '1 hour') AS hour, count(*) AS day"
# What reached a provider, or is about to: a refused message is nobody's nuisance.
COUNTED: Final = """d.created_at > now() - interval '1 day'
    AND (d.state IN ('sending', 'sent', 'delivered', 'undelivered', 'unknown')
         OR d.state = 'queued' AND d.cause LIKE 'replay:%')"""
# A later row of the login and channel: that code arrived, and the one before it makes no sense any more.
ARRIVED_SINCE: Final = "n.created_at > m.created_at AND n.state IN ('sent', 'delivered')"
# Nobody counts for a code that is dead.
CANDIDATES: Final = """
WITH matched AS MATERIALIZED (
    SELECT m.id, m.login_id, m.channel, m.user_id, m.recipient, m.reason, m.created_at, m.expires_at
    FROM deliveries m
    WHERE (m.created_at, m.id) < ($1::timestamptz, $2::uuid) AND {m} AND NOT EXISTS (
        SELECT FROM deliveries n WHERE n.login_id = m.login_id AND n.channel = m.channel
            AND ({arrived} OR (n.created_at, n.id) > (m.created_at, m.id) AND n.created_at < $3 AND {n}))
    ORDER BY m.created_at DESC, m.id DESC LIMIT $4
)
SELECT m.*, (SELECT why FROM login_states s WHERE s.login_id = m.login_id) AS why,
    EXISTS (SELECT FROM deliveries d WHERE d.login_id = m.login_id AND d.channel = m.channel
            AND d.state || '' IN ('queued', 'sending')) AS under_way,
    u.hour AS user_hour, u.day AS user_day, t.hour AS to_hour, t.day AS to_day
FROM matched m, LATERAL (
    SELECT {within} FROM deliveries d
    WHERE m.expires_at > now() AND d.user_id = m.user_id AND d.channel = m.channel AND {counted}
) u, LATERAL (
    SELECT {within} FROM deliveries d WHERE m.expires_at > now() AND d.recipient = m.recipient AND {counted}
) t
ORDER BY m.created_at DESC, m.id DESC
"""
HINT: Final = "SELECT count(*) FROM (SELECT FROM deliveries m WHERE {m} LIMIT 1000) found"
AGAIN: Final = f"""
INSERT INTO deliveries (id, login_id, channel, cause, account_id, user_id, state, due_at, sealed, sealed_event,
    sealed_cause, masked, country, locale, origin, code_key_id, digits, begun_at, challenged_at, expires_at, recipient,
    prefixes, email_off)
SELECT g.new_id, login_id, channel, $3, account_id, user_id, 'queued',
    due(account_id, channel, country, expires_at), sealed, sealed_event, sealed_cause,
    masked, country, locale, origin, code_key_id, digits, begun_at, now(), expires_at, recipient, prefixes, email_off
FROM unnest($1::uuid[], $2::uuid[]) g (id, new_id) JOIN deliveries m USING (id)
WHERE NOT EXISTS (SELECT FROM deliveries n WHERE n.login_id = m.login_id AND n.channel = m.channel
                  AND (n.state || '' IN ('queued', 'sending') OR {ARRIVED_SINCE}))
ON CONFLICT (login_id, channel, cause) DO NOTHING RETURNING id
"""  # noqa: S608 - made of constants
LOG: Final = """
INSERT INTO delivery_log (login_id, delivery_id, account_id, what, channel, cause)
SELECT login_id, id, account_id, 'replayed', channel, cause FROM deliveries WHERE id = ANY($1::uuid[])
"""
BECAME: Final = """
SELECT state, reason, channel, provider, count(*) AS many FROM deliveries
WHERE cause = $1 AND cause LIKE 'replay:%' AND ($2::uuid IS NULL OR account_id = $2)
GROUP BY state, reason, channel, provider ORDER BY many DESC, state, reason
"""


class Picking(NamedTuple):
    """The conditions of `Wanted`, for the row `m` and for another row `n`; their values are `$5` and on."""

    m: str
    n: str
    given: list[Any]


def picking(wanted: Wanted, first: int = 5) -> Picking:
    asked = [name for name in CONDITIONS if getattr(wanted, name) is not None]
    state = f"{{row}}.state = '{wanted.state.value}'" if wanted.state else DID_NOT_ARRIVE
    numbered = [(CONDITIONS[name], f"${first + place}") for place, name in enumerate(asked)]

    def of(row: str) -> str:
        return " AND ".join([state.format(row=row), *(text.format(row=row, given=given) for text, given in numbered)])

    return Picking(of("m"), of("n"), [getattr(wanted, name) for name in asked])


def candidates_query(wanted: Wanted) -> Picking:
    """The statement in `m`."""
    found = picking(wanted)
    parts = {"m": found.m, "n": found.n, "arrived": ARRIVED_SINCE, "within": WITHIN, "counted": COUNTED}
    return Picking(CANDIDATES.format(**parts), "", found.given)


async def candidates(connection: Any, of: Wanted, after: Place, until: Any, limit: int) -> list[Candidate]:
    """Newest first, from before `after`; what was made since `until` is no replay's business."""
    query = candidates_query(of)
    rows = await connection.fetch(query.m, *after, until, limit, *query.given)
    return [Candidate(**dict(row)) for row in rows]


async def count_without(pool: asyncpg.Pool[asyncpg.Record], of: Wanted) -> dict[str, int]:
    """How many rows would match if one filter were left out, up to a thousand. The account stays."""
    found = {}
    for name in ("state", *CONDITIONS):
        if name != "account" and getattr(of, name) is not None:
            wider = picking(msgspec.structs.replace(of, **{name: None}), first=1)
            found[name] = int(await pool.fetchval(HINT.format(m=wider.m), *wider.given))
    return {name: many for name, many in found.items() if many}


async def send_again(connection: Any, chosen: Sequence[Candidate], cause: str) -> int:
    """How many rows were made: what was taken a moment ago is under way already."""
    new = [row_id(one.login_id, one.channel, cause) for one in chosen]
    made = [row["id"] for row in await connection.fetch(AGAIN, [one.id for one in chosen], new, cause)]
    await connection.execute(LOG, made)
    return len(made)
