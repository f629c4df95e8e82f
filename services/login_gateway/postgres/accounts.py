"""Accounts and their settings."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import asyncpg

from services.login_gateway.accounts import (
    RANGES,
    AccountView,
    EditAccount,
    NewAccount,
    as_id,
    checked_name,
    name_taken,
)
from services.login_gateway.administration import Administration, Connection
from services.login_gateway.postgres import sessions
from services.platform import audit
from services.platform.auth import EVERY, Client, Who, foreign, in_account, own_account
from services.platform.clock import new_id
from services.platform.http import Problem
from services.platform.outbox import OutboxRow

INSERT: Final = """
INSERT INTO accounts (account_id, name, session_seconds, code_digits, code_seconds, feed_per_minute)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING *
"""
UPDATE: Final = """
UPDATE accounts SET name = $2, state = $3, code_digits = $4, code_seconds = $5, feed_per_minute = $6
WHERE account_id = $1
"""
FIND: Final = "SELECT * FROM accounts WHERE account_id = $1 OR ($1::uuid IS NULL AND name = $2)"
LOCKED: Final = f"{FIND} FOR UPDATE"
PAGE: Final = 100


async def found(connection: Any, who: Who, given: str, lock: bool = False) -> Any:
    """The account's row, by id or name; raises 404 for one that does not exist or is not the caller's."""
    account_id = as_id(given)
    row = await connection.fetchrow(LOCKED if lock else FIND, account_id, given.replace("\x00", ""))
    if row is None:
        raise foreign()
    in_account(who, row["account_id"])
    return row


async def listed(admin: Administration, who: Who, after: str | None = None) -> tuple[list[AccountView], str | None]:
    """The accounts that the caller may see, by name; and where to go on."""
    rows = await admin.pool.fetch(
        "SELECT * FROM accounts WHERE ($1::uuid IS NULL OR account_id = $1) AND name > $2 ORDER BY name LIMIT $3",
        own_account(who),
        (after or "").replace("\x00", ""),
        PAGE + 1,
    )
    views = [AccountView.of(row) for row in rows[:PAGE]]
    return views, views[-1].name if len(rows) > PAGE else None


async def one(admin: Administration, who: Who, given: str) -> AccountView:
    return AccountView.of(await found(admin.pool, who, given))


async def create(admin: Administration, who: Who, new: NewAccount) -> AccountView:
    name = checked_name(new.name)
    settings = {setting: allowed.usual for setting, allowed in RANGES.items()} | new.settings.given()
    try:
        async with admin.transaction() as (connection, events):
            row = await connection.fetchrow(INSERT, new_id(), name, *settings.values())
            events.extend(await _policy(admin, connection, who, row["account_id"], row["session_seconds"]))
            await audit.record(connection, who.name, "account.created", row["account_id"], str(row["account_id"]))
    except asyncpg.UniqueViolationError:
        raise name_taken(name) from None
    await admin.announce(events)
    return AccountView.of(row)


async def change(admin: Administration, who: Who, given: str, edit: EditAccount) -> AccountView:
    """Another session length counts from now on; suspending an account ends its sessions."""
    settings = edit.settings.given()
    try:
        async with admin.transaction() as (connection, events):
            old = await found(connection, who, given, lock=True)
            wanted = _wanted(old, edit) | settings
            _may_change(who, old, wanted)
            await connection.execute(UPDATE, old["account_id"], *(wanted[name] for name in _WRITTEN))
            events.extend(await _consequences(admin, connection, who, old, wanted))
            await _record(connection, who, old, wanted)
    except asyncpg.UniqueViolationError:
        raise name_taken(str(edit.name)) from None
    effective = await admin.announce(events)
    return AccountView.of(wanted, effective)


_WRITTEN: Final = ("name", "state", "code_digits", "code_seconds", "feed_per_minute")
_THE_INSTALLATIONS: Final = ("state", "feed_per_minute")


def _wanted(old: Any, edit: EditAccount) -> dict[str, Any]:
    wanted = dict(old)
    if isinstance(edit.name, str):
        wanted["name"] = checked_name(edit.name)
    if isinstance(edit.state, str):
        wanted["state"] = edit.state
    return wanted


def _may_change(who: Who, old: Any, wanted: Mapping[str, Any]) -> None:
    """What protects an installation from its accounts is not theirs to change."""
    if isinstance(who, Client) and who.account == EVERY:
        return
    for name in _THE_INSTALLATIONS:
        if wanted[name] != old[name]:
            raise Problem(403, "forbidden", f"Changing {name} of an account needs a client of account *.")


async def _consequences(
    admin: Administration, connection: Connection, who: Who, old: Any, wanted: dict[str, Any]
) -> list[OutboxRow]:
    events: list[OutboxRow] = []
    if wanted["session_seconds"] != old["session_seconds"]:
        events += await _policy(admin, connection, who, old["account_id"], wanted["session_seconds"])
    if (old["state"], wanted["state"]) == ("active", "suspended"):
        events += await sessions.expire_account(connection, admin.signer, old["account_id"], who.name)
    return events


async def _policy(
    admin: Administration, connection: Connection, who: Who, account_id: UUID, seconds: int
) -> list[OutboxRow]:
    return await sessions.change_policy(connection, admin.signer, account_id, seconds, who.name)


async def _record(connection: Connection, who: Who, old: Any, wanted: dict[str, Any]) -> None:
    """Settings are no secret: the audit shows what they were and what they are."""
    changed = {name: [old[name], wanted[name]] for name in (*_WRITTEN, "session_seconds") if old[name] != wanted[name]}
    if changed:
        account_id = old["account_id"]
        await audit.record(connection, who.name, "account.changed", account_id, str(account_id), changed)
