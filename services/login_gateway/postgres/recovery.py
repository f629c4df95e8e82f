"""After a restore or a loss: tell the session store again, raise epochs. All of it may be repeated."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from services.login_gateway import events
from services.login_gateway.administration import Administration
from services.login_gateway.postgres.chores import first_id_of
from services.login_gateway.postgres.sessions import expire_account
from services.login_gateway.sessions import expire_all, policy_changed
from services.login_gateway.who import COMMAND_LINE
from services.platform import audit
from services.platform.floors import Floor
from services.platform.keys.keyring import UnknownKey
from services.platform.keys.tokens import Mint
from services.platform.outbox import OutboxRow, row_for

BATCH: Final = 500
BY: Final = COMMAND_LINE.name
LONGEST_LOGIN: Final = timedelta(hours=1)  # a login_id is as old as the password step, the session as its code
ACCOUNTS: Final = """
SELECT account_id, epoch, session_seconds, policy_at, clock_timestamp() AS at FROM accounts
WHERE account_id > $1 ORDER BY account_id LIMIT $2
"""
USERS: Final = """
SELECT user_id, account_id, epoch, clock_timestamp() AS at FROM users
WHERE user_id > $1 AND epoch >= $3 ORDER BY user_id LIMIT $2
"""
LOGINS: Final = """
SELECT l.*, u.role, u.claims FROM logins l
JOIN users u USING (user_id) JOIN accounts a ON a.account_id = l.account_id
WHERE l.login_id > $1 AND l.state = 'verified' AND l.issued_at >= $3
  AND l.user_epoch >= u.epoch AND l.account_epoch >= a.epoch AND NOT u.disabled
ORDER BY l.login_id LIMIT $2
"""
RAISE_USERS: Final = """
UPDATE users SET epoch = greatest(epoch + 1, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
WHERE user_id IN (SELECT user_id FROM users WHERE user_id > $1 ORDER BY user_id LIMIT $2) RETURNING user_id
"""
ADOPT: Final = {
    "account": """
UPDATE accounts a SET epoch = f.floor FROM unnest($1::uuid[], $2::bigint[]) f(id, floor)
WHERE a.account_id = f.id AND a.epoch < f.floor RETURNING true
""",
    "user": """
UPDATE users u SET epoch = f.floor FROM unnest($1::uuid[], $2::bigint[]) f(id, floor)
WHERE u.user_id = f.id AND u.epoch < f.floor RETURNING true
""",
}
NOBODY: Final = UUID(int=0)

Tell = Callable[[str, int], None]
"""Told what was done, and how many of it, batch by batch."""


class Sender:
    """Writes events and publishes them; once Kafka does not answer they are left to the gateway's sweeper."""

    def __init__(self, admin: Administration) -> None:
        self._admin = admin
        self.queued = 0

    async def send(self, rows: Sequence[OutboxRow]) -> None:
        async with self._admin.transaction() as (_, written):
            written.extend(rows)
        await self.publish(rows)

    async def publish(self, rows: Sequence[OutboxRow]) -> None:
        if self._admin.outbox is None or self.queued:
            self.queued += len(rows)
            return
        taken = await asyncio.gather(*self._admin.outbox.publish_soon(rows))
        self.queued += taken.count(False)
        await self._admin.outbox.drain()


async def republish(admin: Administration, mint: Mint, since: datetime, tell: Tell) -> Counter[str]:
    """What ends sessions first (each account's floor and length, the floors of users raised since), then `Verified` of
    every login that was completed since and not ended; gives the counts.
    """
    sender, done = Sender(admin), Counter(dict.fromkeys(("floors", "lengths", "sessions"), 0))
    async for name, rows in _told_again(admin, mint, since):
        await sender.send(rows)
        done[name] += len(rows)
        tell(name, len(rows))
    done["queued"] = sender.queued
    await audit.record(admin.pool, BY, "sessions.republished", None, since.isoformat(), dict(done))
    return done


async def _told_again(
    admin: Administration, mint: Mint, since: datetime
) -> AsyncIterator[tuple[str, Sequence[OutboxRow]]]:
    async for batch in _batches(admin, ACCOUNTS, "account_id", NOBODY):
        yield "floors", [row_for(expire_all(row, "account", BY), admin.signer) for row in batch]
        yield "lengths", [row_for(policy_changed(row, row["session_seconds"], BY), admin.signer) for row in batch]
    async for batch in _batches(admin, USERS, "user_id", NOBODY, int(since.timestamp() * 1000)):
        yield "floors", [row_for(expire_all(row, "user", BY), admin.signer) for row in batch]
    oldest = first_id_of(since - LONGEST_LOGIN)
    async for batch in _batches(admin, LOGINS, "login_id", oldest, int(since.timestamp())):
        yield "sessions", [each for each in (_verified(admin, mint, row) for row in batch) if each is not None]


def _verified(admin: Administration, mint: Mint, row: Any) -> OutboxRow | None:
    """None when the key of its token was revoked: nobody can present it any more."""
    try:
        secret = mint.secret(row["login_id"], row["issued_at"], row["mint_key_id"])
    except UnknownKey:
        return None
    return row_for(events.verified(row, row["issued_at"], secret, row["channel"]), admin.signer)


async def raise_all(admin: Administration, tell: Tell) -> Counter[str]:
    """Every user's and account's epoch, and the accounts' floors: all sessions end, all users sign in again."""
    sender, done, after = Sender(admin), Counter(users=0, accounts=0), NOBODY
    while raised := await admin.pool.fetch(RAISE_USERS, after, BATCH):
        after = max(row["user_id"] for row in raised)
        done["users"] += len(raised)
        tell("users", len(raised))
    async for batch in _batches(admin, ACCOUNTS, "account_id", NOBODY):
        for row in batch:
            await _end_account(admin, sender, row["account_id"])
        done["accounts"] += len(batch)
        tell("accounts", len(batch))
    done["queued"] = sender.queued
    await audit.record(admin.pool, BY, "gateway.recovered", None, "every account", dict(done))
    return done


async def _end_account(admin: Administration, sender: Sender, account_id: UUID) -> None:
    async with admin.transaction() as (connection, written):
        written.extend(await expire_account(connection, admin.signer, account_id, BY))
    await sender.publish(written)


async def adopt(admin: Administration, floors: Sequence[Floor], tell: Tell) -> Counter[str]:
    """Raise epochs to the store's floors, and end nothing: who signs in from now on is not below a floor."""
    done = Counter(users=0, accounts=0)
    for scope, statement in ADOPT.items():
        these = [each for each in floors if each.scope == scope]
        for batch in (these[start : start + BATCH] for start in range(0, len(these), BATCH)):
            columns = [each.id for each in batch], [each.floor for each in batch]
            done[f"{scope}s"] += len(await admin.pool.fetch(statement, *columns))
            tell(f"{scope}s", len(batch))
    await audit.record(admin.pool, BY, "gateway.recovered", None, "the store's floors", dict(done))
    return done


async def _batches(admin: Administration, query: str, key: str, after: UUID, *more: Any) -> AsyncIterator[list[Any]]:
    while rows := await admin.pool.fetch(query, after, BATCH, *more):
        yield rows
        after = rows[-1][key]
