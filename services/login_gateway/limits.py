"""Sliding windows in Postgres, shared by all processes. Names are keyed hashes of what is counted."""

import hmac
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from services.platform.keys.keyring import Ring

DAY: Final = 86_400
TAKE: Final = """
INSERT INTO counters AS c (name, hits, expires_at)
VALUES ($1, ARRAY[now()], now() + make_interval(secs => $2))
ON CONFLICT (name) DO UPDATE
SET hits = ARRAY(SELECT h FROM unnest(c.hits) h WHERE h > now() - make_interval(secs => $2)) || now(),
    expires_at = excluded.expires_at
WHERE NOT EXISTS (
    SELECT FROM unnest($3::int[], $4::int[]) AS rule(most, seconds)
    WHERE (SELECT count(*) FROM unnest(c.hits) h WHERE h > now() - make_interval(secs => rule.seconds)) >= rule.most
)
RETURNING true
"""
GIVE_BACK: Final = (
    "UPDATE counters SET hits = trim_array(hits, 1) WHERE name = ANY($1::bytea[]) AND cardinality(hits) > 0"
)
PURGE: Final = "DELETE FROM counters WHERE expires_at < now()"


class Rule(NamedTuple):
    """At most so many in so many seconds."""

    most: int
    seconds: int


class Names:
    """Counter names: an HMAC of what is counted."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def of(self, *parts: object) -> bytes:
        text = "\x1f".join(str(part) for part in parts)
        return hmac.digest(self._ring.active.secret, b"counter\x1f" + text.encode(), "sha256")


async def take(connection: Any, name: bytes, rules: Sequence[Rule]) -> bool:
    """Count one more, unless a rule would be broken: one statement, so that parallel calls cannot slip through."""
    longest = max(rule.seconds for rule in rules)
    most, seconds = [rule.most for rule in rules], [rule.seconds for rule in rules]
    return bool(await connection.fetchval(TAKE, name, longest, most, seconds))


async def give_back(connection: Any, names: Sequence[bytes]) -> None:
    """Uncount what turned out right."""
    await connection.execute(GIVE_BACK, list(names))
