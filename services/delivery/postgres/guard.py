"""`gate.Counters` on asyncpg, the day's figures, and the rows that grow old.

Every statement takes the rows of `guard_prefixes` in the order of their keys, and those before any other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import structlog

from services.delivery import guard
from services.delivery.gate import Answer, Ask, Figure, Sum
from services.delivery.guard import Budget, Figures
from services.delivery.postgres.groups import Group, columns
from services.delivery.states import Reason

log = structlog.get_logger()

INSTALLATION: Final = "*"
NAMED_FROM: Final = 10
PROVEN_DAYS: Final = 90
FIGURES_DAYS: Final = 35

TODAY: Final = "(now() AT TIME ZONE 'utc')::date"


def window(parameter: str) -> str:
    """The beginning of the window that now is in; `parameter` is its length in seconds."""
    return f"date_bin(make_interval(secs => {parameter}), now(), timestamptz 'epoch')"


def rolled(parameter: str) -> str:
    """What a new count makes of the row that is there: the same window, the next one, or one much later. Windows begin
    when they did for whoever counts with another length: nothing is counted into the future.
    """
    same, next_ = "p.since >= excluded.since", f"p.since >= excluded.since - make_interval(secs => {parameter})"
    sums = [
        f"{name} = greatest(0, excluded.{name} + CASE WHEN {same} THEN p.{name} ELSE 0 END),"
        f" old_{name} = CASE WHEN {same} THEN p.old_{name} WHEN {next_} THEN p.{name} ELSE 0 END"
        for name in ("sends", "verified", "stopped")
    ]
    return ", ".join(["since = greatest(p.since, excluded.since)", *sums])


# Every SMS of every worker waits for the row of what all accounts spend, so nobody holds it until the disk has it:
# whatever is written of an SMS afterwards takes its counts to the disk too.
COUNT: Final = f"""
WITH soon AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), counted AS (
    INSERT INTO guard_prefixes AS p (account_id, prefix, country, since, sends, stopped)
    SELECT account_id, prefix, country, {window("$6")}, sends, stopped
    FROM soon, unnest($1::uuid[], $2::bytea[], $3::text[], $4::int[], $5::int[])
        AS g (account_id, prefix, country, sends, stopped) ORDER BY account_id, prefix
    ON CONFLICT (account_id, prefix) DO UPDATE SET {rolled("$6")}
    RETURNING account_id::text, prefix, sends + old_sends AS sends, verified + old_verified AS verified,
        coalesce(lifted_until > now(), false) AS lifted, shown IS NULL AS unnamed
), spent AS (
    INSERT INTO guard_budgets AS b (day, account_id, spent)
    SELECT {TODAY}, account_id, spent FROM soon, unnest($7::text[], $8::numeric[]) AS g (account_id, spent) ORDER BY 2
    ON CONFLICT (day, account_id) DO UPDATE SET spent = greatest(0, b.spent + excluded.spent)
    RETURNING account_id, spent
)
SELECT 'prefix' AS what, account_id, prefix AS name, sends::numeric AS sum, verified, lifted, unnamed FROM counted
UNION ALL SELECT 'budget', account_id, NULL, spent, 0, false, false FROM spent
UNION ALL SELECT 'proven', '', recipient, 0, 0, false, false FROM guard_proven
    WHERE recipient = ANY((SELECT $9::bytea[])::bytea[]) AND at > now() - make_interval(days => {PROVEN_DAYS})
"""  # noqa: S608 - made of constants
NAME: Final = """
UPDATE guard_prefixes p SET shown = g.shown
FROM unnest($2::bytea[], $3::bytea[]) AS g (prefix, shown) JOIN (
    SELECT prefix FROM guard_prefixes WHERE account_id = $1 AND prefix = ANY($2) AND shown IS NULL
    ORDER BY prefix FOR UPDATE
) taken USING (prefix)
WHERE p.account_id = $1 AND p.prefix = g.prefix
"""
ADD: Final = f"""
INSERT INTO guard_figures AS f (day, account_id, country, provider, reason, sends, stopped, cost)
SELECT {TODAY}, * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::numeric[])
ORDER BY 2, 3, 4, 5
ON CONFLICT (day, account_id, country, provider, reason) DO UPDATE SET
    sends = f.sends + excluded.sends, stopped = f.stopped + excluded.stopped, cost = f.cost + excluded.cost
"""  # noqa: S608
# What `intake.CLOSE` adds for logins that were verified: somebody was there, so each SMS of the login counts for its
# block as answered; where the code of the e-mail came back, only an SMS of which nobody said that it arrived. A
# number is proven, and a provider did its work, by the code of the SMS only.
CONVERTED: Final = f"""
, proved AS (
    SELECT d.account_id, d.prefixes, d.recipient,
        coalesce(d.country, '') AS country, coalesce(d.provider, '') AS provider, s.by_sms
    FROM closed c JOIN unnest($1::uuid[], $7::boolean[]) AS s (login_id, by_sms) USING (login_id)
        JOIN deliveries d USING (login_id)
    WHERE c.closed_why = 'verified' AND d.channel = 'sms' AND d.tries > 0
        AND d.state NOT IN ('failed', 'cancelled', 'expired') AND (s.by_sms OR d.state <> 'delivered')
), converted AS (
    INSERT INTO guard_prefixes AS p (account_id, prefix, since, verified)
    SELECT account_id, prefix, {window("$8")}, count(*)
    FROM proved, LATERAL (VALUES (substring(prefixes FROM 1 FOR 16)), (substring(prefixes FROM 17 FOR 16))) v (prefix)
    WHERE prefixes IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (account_id, prefix) DO UPDATE SET {rolled("$8")}
), proven AS (
    INSERT INTO guard_proven AS p (recipient, at)
    SELECT DISTINCT recipient, now() FROM proved WHERE by_sms AND recipient IS NOT NULL ORDER BY 1
    ON CONFLICT (recipient) DO UPDATE SET at = excluded.at WHERE p.at < now() - interval '1 day'
), figured AS (
    INSERT INTO guard_figures AS f (day, account_id, country, provider, reason, verified)
    SELECT {TODAY}, account_id, country, provider, '', count(*) FROM proved WHERE by_sms
    GROUP BY 2, 3, 4 ORDER BY 2, 3, 4
    ON CONFLICT (day, account_id, country, provider, reason) DO UPDATE SET verified = f.verified + excluded.verified
)
"""  # noqa: S608
# Rows of a table by its key, and what makes them old; `$1` is a window's length.
OLD: Final = (
    (
        "guard_prefixes",
        "account_id, prefix",
        "since < now() - make_interval(secs => $1 * 2) AND coalesce(lifted_until < now(), true)",
    ),
    ("guard_proven", "recipient", f"$1 > 0 AND at < now() - make_interval(days => {PROVEN_DAYS})"),
    ("guard_budgets", "day, account_id", f"$1 > 0 AND day < {TODAY} - {FIGURES_DAYS}"),
    ("guard_figures", "day, account_id, country, provider, reason", f"$1 > 0 AND day < {TODAY} - {FIGURES_DAYS}"),
)
TIDY: Final = {
    table: f"DELETE FROM {table} WHERE ({key}) IN"  # noqa: S608
    f" (SELECT {key} FROM {table} WHERE {old} LIMIT $2 FOR UPDATE SKIP LOCKED)"
    for table, key, old in OLD
}


class _Change(NamedTuple):
    """An ask that is counted and judged, or one that is given back."""

    ask: Ask
    back: bool = False


class PostgresGuard:
    """Asks that are ready together, and those that are given back, are one statement."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], window: timedelta) -> None:
        self._pool, self._window = pool, window.total_seconds()
        self._changes: Group[_Change, Answer] = Group(self._change)

    async def take(self, one: Ask) -> Answer:
        """Counted, and judged by what was counted before it: of those that ask at once, in every worker, each has a
        place of its own. Who is stopped is taken out again.
        """
        return await self._changes.add(_Change(one))

    async def give_back(self, one: Ask) -> None:
        """It was counted, and no provider took it."""
        await self._changes.add(_Change(one, back=True))

    async def name(self, account: UUID, sealed: Mapping[bytes, bytes]) -> None:
        await self._pool.execute(NAME, account, list(sealed), list(sealed.values()))

    async def add(self, figures: Mapping[Figure, Sum]) -> None:
        if figures:
            rows = [(*figure, *amount) for figure, amount in figures.items()]
            await self._pool.execute(ADD, *columns(rows, 7))

    async def _change(self, changes: Sequence[_Change]) -> list[Answer]:
        """What is given back counts for whoever asks beside it."""
        signed = [(ask, -1 if back else 1) for ask, back in changes]
        rows = await self._count([(ask, sign * ask.counts, 0, sign * ask.cost) for ask, sign in signed])
        tally = _Tally(rows, [ask for ask, back in changes if not back])
        answers = [Answer() if back else tally.judge(ask) for ask, back in changes]
        stopped = [ask for (ask, _), answer in zip(changes, answers, strict=True) if _stops(ask, answer.reason)]
        if stopped:
            await self._count([(ask, -ask.counts, ask.counts, -ask.cost) for ask in stopped])
        return answers

    async def _count(self, changes: Sequence[tuple[Ask, int, int, Decimal]]) -> list[asyncpg.Record]:
        """Add to the counters that each ask belongs to."""
        sends, stopped = Counter[tuple[UUID, bytes]](), Counter[tuple[UUID, bytes]]()
        countries: dict[tuple[UUID, bytes], str | None] = {}
        spent: dict[str, Decimal] = defaultdict(Decimal)
        for ask, more, stops, cost in changes:
            for key in ((ask.account, prefix) for prefix in ask.prefixes):
                sends[key] += more
                stopped[key] += stops
                countries[key] = ask.country
            for name in _budgets(ask):
                spent[name] += cost
        rows = [(*key, country, sends[key], stopped[key]) for key, country in countries.items()]
        recipients = list({ask.recipient for ask, *_ in changes if ask.recipient is not None})
        amounts = (list(spent), list(spent.values()))
        return await self._pool.fetch(COUNT, *columns(rows, 5), self._window, *amounts, recipients)


class _Tally:
    """The counters as they stood before a group of asks; each ask that passes moves them for the next one."""

    def __init__(self, rows: Iterable[asyncpg.Record], asks: Sequence[Ask]) -> None:
        self._prefixes = {(row["account_id"], row["name"]): row for row in rows if row["what"] == "prefix"}
        self._proven = {row["name"] for row in rows if row["what"] == "proven"}
        self._sends = {key: int(row["sum"]) for key, row in self._prefixes.items()}
        self._spent = {row["account_id"]: row["sum"] for row in rows if row["what"] == "budget"}
        for ask in asks:
            self._move(ask, -1)

    def judge(self, ask: Ask) -> Answer:
        keys = [(str(ask.account), prefix) for prefix in ask.prefixes]
        figures = [
            Figures(self._sends[key], self._prefixes[key]["verified"], self._prefixes[key]["lifted"]) for key in keys
        ]
        budgets = [Budget(self._spent[name], most) for name, most in _budgets(ask).items() if most is not None]
        reason = guard.judged(figures, ask.recipient in self._proven, budgets, ask.cost, ask.rules)
        if not _stops(ask, reason):
            self._move(ask, 1)
        unnamed = [key for key in keys if self._prefixes[key]["unnamed"] and self._sends[key] >= NAMED_FROM]
        return Answer(reason, frozenset(prefix for _, prefix in unnamed))

    def _move(self, ask: Ask, by: int) -> None:
        for prefix in ask.prefixes:
            self._sends[str(ask.account), prefix] += by * ask.counts
        for name in _budgets(ask):
            self._spent[name] += by * ask.cost


def _stops(ask: Ask, reason: Reason | None) -> bool:
    return guard.verdict(reason, ask.rules, ask.email_off).action != "allow"


def _budgets(ask: Ask) -> dict[str, Decimal | None]:
    """What it is paid from, and how much that is; None: as much as is wanted. It is counted all the same: a budget that
    is set in the middle of an attack has to know what went out before.
    """
    return {str(ask.account): ask.rules.daily_budget, INSTALLATION: ask.rules.installation_budget}
