"""The topic `logins` into Postgres: a batch and how far the topic was read are one transaction."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog

from services.login_gateway.feed import Fed, feed, outcome, refuse
from services.login_gateway.feed_records import FedRecord, Sender, kept, waited
from services.login_gateway.house import House
from services.login_gateway.login import tell_begun
from services.login_gateway.ports import Contended, Move, Moved
from services.login_gateway.postgres import budgets
from services.login_gateway.postgres.feed_transaction import Held, published, yielding
from services.platform import failpoints, metrics
from services.platform.postgres import AWAY

log = structlog.get_logger()

# Whoever else moved a partition on was given it, or had it before: the one that comes late writes nothing.
MOVE: Final = """
WITH batch AS (SELECT * FROM unnest($2::int[], $3::bigint[], $4::bigint[]) AS b (partition, first, after))
INSERT INTO feed_offsets AS o (cluster_id, partition, next_offset)
SELECT $1, partition, after FROM batch ORDER BY partition
ON CONFLICT (cluster_id, partition) DO UPDATE SET next_offset = excluded.next_offset
WHERE o.next_offset = (SELECT first FROM batch WHERE batch.partition = o.partition)
RETURNING partition
"""
OFFSETS: Final = "SELECT partition, next_offset FROM feed_offsets WHERE cluster_id = $1"
SENDERS: Final = """
SELECT client_id, account::uuid, feed_key, feed_stopped_at(clients) IS NOT NULL AS stopped FROM clients
WHERE client_id = ANY($1::text[]) AND enabled AND 'feed' = ANY(scopes) AND account <> '*' AND feed_key IS NOT NULL
"""
WAITING: Final = "SELECT DISTINCT account_id FROM feed_waiting WHERE account_id = ANY($1::uuid[])"
WAIT: Final = """
INSERT INTO feed_waiting (account_id, client_id, item, due_at) VALUES ($1, $2, $3, coalesce($4, now()))
"""
DUE: Final = "SELECT DISTINCT account_id FROM feed_waiting WHERE due_at <= now() LIMIT 20"
# One process at a time for an account: its logins keep their order.
ALONE: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended($1::text, 22))"
TURN: Final = """
DELETE FROM feed_waiting WHERE account_id = $1 AND place IN (
    SELECT place FROM feed_waiting WHERE account_id = $1 AND due_at <= now() ORDER BY place LIMIT $2
) RETURNING place, client_id, item
"""
LATER: Final = """
UPDATE feed_waiting SET due_at = now() + interval '5 seconds' WHERE account_id = $1 AND place = (
    SELECT min(place) FROM feed_waiting WHERE account_id = $1 AND due_at <= now()
)
"""
# Who waits for a row of the batch does not wait much longer.
LONGEST_SECONDS: Final = 1.0
TURNS: Final = 50


class PostgresFeedRoad:
    """`house` publishes and counts what was committed; the rest of it is bound to the transaction's connection."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], house: House) -> None:
        self._pool = pool
        self._house = house

    async def offsets(self, cluster: str) -> dict[int, int]:
        rows = await self._pool.fetch(OFFSETS, cluster)
        return {row["partition"]: row["next_offset"] for row in rows}

    async def senders(self, client_ids: Iterable[str]) -> dict[str, Sender]:
        """Those of them that may feed at this moment."""
        return await _senders(self._pool, client_ids)

    async def planned(self, records: Sequence[FedRecord]) -> list[FedRecord]:
        """The same, each with when its account's budget lets it in. Spent for good, whatever becomes of them."""
        asked = Counter(record.sender.account_id for record in records if record.refused is None)
        granted = await budgets.spend(self._pool, asked) if asked else set()
        late = {account: await self._late(account, records) for account in asked if account not in granted}
        return [
            next(late[record.sender.account_id])
            if record.refused is None and record.sender.account_id in late
            else record
            for record in records
        ]

    async def _late(self, account_id: UUID, records: Sequence[FedRecord]) -> Any:
        """An account's records that are not refused already, each with its turn."""
        own = [each for each in records if each.sender.account_id == account_id and each.refused is None]
        due, now = await budgets.turns_of(self._pool, account_id, [each.item.authenticated_at for each in own])
        return iter(
            each._replace(refused="over-budget") if at is None else each._replace(due_at=at if at > now else None)
            for each, at in zip(own, due, strict=True)
        )

    async def take(self, cluster: str, moves: Sequence[Move], records: Sequence[FedRecord]) -> list[Fed]:
        """Open, refuse or let wait each of them and read on: all of it or nothing, in one transaction.

        Raises `Moved`, `Contended`, `NotStorable`.
        """
        began = time.monotonic()
        async with yielding(self._pool, self._house) as (connection, house, held):
            await _move(connection, cluster, moves)
            taken = await _each(connection, house, records)
            failpoints.reached("gateway.in-feed")
        failpoints.reached("gateway.after-feed")
        whose = [each.sender.client_id for each in records]
        await self._after(held, list(zip(whose, taken, strict=True)), began)
        return taken

    async def take_waiting(self) -> int:
        """Those whose turn it is; gives how many. What fails is tried again until it is too old."""
        accounts = [row["account_id"] for row in await self._pool.fetch(DUE)]
        return sum([await self._turns(account) for account in accounts])

    async def _turns(self, account_id: UUID) -> int:
        for most in (TURNS, 1):
            try:
                return await self._turn(account_id, most)
            except Contended:
                return 0
            except AWAY:
                raise
            except Exception as error:
                log.error("fed_logins_failed", account_id=str(account_id), most=most, exc_info=error)
        await self._pool.execute(LATER, account_id)
        return 1

    async def _turn(self, account_id: UUID, most: int) -> int:
        began = time.monotonic()
        async with yielding(self._pool, self._house) as (connection, house, held):
            if not await connection.fetchval(ALONE, str(account_id)):
                return 0
            rows = sorted(await connection.fetch(TURN, account_id, most), key=itemgetter("place"))
            senders = await _senders(connection, {row["client_id"] for row in rows})
            records = [_waited(account_id, row, senders) for row in rows]
            taken = [await _one(connection, house, record, waits=False) for record in records]
        await self._after(held, list(zip((row["client_id"] for row in rows), taken, strict=True)), began)
        return len(rows)

    async def _after(self, held: Held, taken: Sequence[tuple[str, Fed]], began: float) -> None:
        """What stands already is published, a few at a time, and counted; a count that is lost is no login lost."""
        for _, fed in taken:
            if fed.new and fed.login is not None:
                tell_begun(fed.login, time.monotonic() - began, "feed-topic")
        await published(self._house, held)
        new = Counter(client_id for client_id, fed in taken if fed.new)
        try:
            for client_id, logins in new.items():
                await self._house.feeds.count(client_id, logins)
        except AWAY as away:
            log.warning("fed_logins_not_counted", error=type(away).__name__)
        for client_id, fed in taken:
            metrics.FED.labels("topic", outcome(fed)).inc()
            if fed.new and fed.login is not None:
                log.info("login_opened", login_id=str(fed.login["login_id"]), fed_by=client_id)


async def _senders(connection: Any, client_ids: Iterable[str]) -> dict[str, Sender]:
    rows = await connection.fetch(SENDERS, list(client_ids))
    return {row["client_id"]: Sender(*row) for row in rows}


def _waited(account_id: UUID, row: Any, senders: Mapping[str, Sender]) -> FedRecord:
    """A login of a client that was stopped or disabled meanwhile is not let in."""
    sender = senders.get(row["client_id"])
    stopped = sender is None or sender.stopped
    sender = sender or Sender(row["client_id"], account_id, b"", True)
    return FedRecord(sender, waited(row["item"]), "feed-stopped" if stopped else None)


async def _move(connection: Any, cluster: str, moves: Sequence[Move]) -> None:
    moved = await connection.fetch(MOVE, cluster, *(list(column) for column in zip(*moves, strict=True)))
    if len(moved) < len(moves):
        raise Moved


async def _each(connection: Any, house: House, records: Sequence[FedRecord]) -> list[Fed]:
    """In order; where an account has logins that wait, its others go behind them."""
    accounts = {record.sender.account_id for record in records}
    behind = {row["account_id"] for row in await connection.fetch(WAITING, list(accounts))} if accounts else set()
    end, taken = time.monotonic() + LONGEST_SECONDS, []
    for record in records:
        if time.monotonic() > end and len(records) > 1:
            raise Contended
        if record.due_at is not None:
            behind.add(record.sender.account_id)
        taken.append(await _one(connection, house, record, record.sender.account_id in behind))
    return taken


async def _one(connection: Any, house: House, record: FedRecord, waits: bool) -> Fed:
    sender, item = record.sender, record.item
    if record.refused is not None:
        return await refuse(house, sender.account_id, item.reference, record.refused)
    if waits:
        await connection.execute(WAIT, sender.account_id, sender.client_id, kept(item), record.due_at)
        return Fed(item.reference)
    return await feed(house, sender.client_id, sender.account_id, item)
