"""What may be done with users: each function is one transaction, its events and its audit line included."""

from typing import Any, Final
from uuid import UUID

import asyncpg

from schemas.topics import SESSION_EVENTS
from services.login_gateway import notices
from services.login_gateway.accounts import as_id
from services.login_gateway.administration import Administration, Connection
from services.login_gateway.clients import NOT_AN_ADMINS
from services.login_gateway.limits import Names
from services.login_gateway.postgres import sessions
from services.login_gateway.postgres.counters import PostgresCounters
from services.login_gateway.postgres.names import check_free, taken
from services.login_gateway.user_rows import UserView, columns, contact_hashes, full_view, masked_view, profile
from services.login_gateway.users import (
    Change,
    EditUser,
    NewPassword,
    NewUser,
    Profile,
    fold,
    password_problem,
    refused,
)
from services.login_gateway.who import fresh, may_grant_operator
from services.platform import audit
from services.platform.auth import Client, Who
from services.platform.clock import new_id
from services.platform.http import Problem
from services.platform.outbox import OutboxRow
from services.platform.scopes import SCOPES

INSERT: Final = """
WITH made AS (
    INSERT INTO users (user_id, account_id, password_hash, username, username_key, external_id, name, phone, phone_hash,
        phone_masked, phone_country, email, email_hash, email_masked, sms_on, email_on, role, kind, disabled, locale,
        claims)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
    RETURNING *
) SELECT made.*, NULL::timestamptz AS locked_at FROM made
"""
UPDATE: Final = """
UPDATE users SET password_hash = $2, username = $3, username_key = $4, external_id = $5, name = $6, phone = $7,
    phone_hash = $8, phone_masked = $9, phone_country = $10, email = $11, email_hash = $12, email_masked = $13,
    sms_on = $14, email_on = $15, role = $16, kind = $17, disabled = $18, locale = $19, claims = $20,
    version = version + 1, updated_at = now()
WHERE user_id = $1
"""
FIND: Final = "SELECT users.*, locked_at FROM users LEFT JOIN user_guard USING (user_id) WHERE account_id = $1"
BY_ID: Final = f"{FIND} AND user_id = $2"
LOCKED: Final = f"{BY_ID} FOR UPDATE OF users"
BY_EXTERNAL_ID: Final = f"{FIND} AND external_id = $2"
GUARD_FIRST: Final = "SELECT FROM user_guard WHERE user_id = $1 FOR UPDATE"  # as verify does: guard, login, then user
PAGE: Final = f"""
{FIND} AND ($2::uuid IS NULL OR user_id > $2) AND (
    $3::text IS NULL OR strpos(username_key, $3) > 0 OR strpos(lower(name), lower($4)) > 0 OR external_id = $4
    OR phone_hash = ANY($5::bytea[]) OR email_hash = ANY($5::bytea[])
) ORDER BY user_id LIMIT $6
"""
UNLOCK: Final = "UPDATE user_guard SET wrong_at = '{}', wrong_total = 0, locked_at = NULL WHERE user_id = $1"


async def listed(
    admin: Administration, account_id: UUID, search: str | None, after: UUID | None, limit: int
) -> tuple[list[UserView], UUID | None]:
    """Users in the order they were made; the search looks at username, name, external_id, and whole contacts."""
    text = search.replace("\x00", "") if search else None
    hashes = contact_hashes(admin.search, text) if text else []
    rows = await admin.pool.fetch(PAGE, account_id, after, fold(text) if text else None, text, hashes, limit + 1)
    views = [masked_view(row) for row in rows[:limit]]
    return views, views[-1].user_id if len(rows) > limit else None


async def one(admin: Administration, account_id: UUID, user: str) -> UserView:
    return full_view(admin, await _row(admin.pool, account_id, user))


async def create(admin: Administration, who: Who, account_id: UUID, new: NewUser) -> UserView:
    wanted = Profile.new(new).checked()
    may_touch(who, wanted.role)
    stored = await _stored(admin, new.password, new.password_hash, wanted.username)
    try:
        async with admin.transaction() as (connection, _):
            row = await _insert(admin, connection, who, account_id, wanted, stored)
    except asyncpg.UniqueViolationError as twice:
        raise taken(twice) from None
    return full_view(admin, row)


async def change(
    admin: Administration, who: Who, account_id: UUID, user: str, edit: EditUser, version: int | None = None
) -> UserView:
    """PATCH. A `version` that is not the user's any more is a 412; preferences and contacts end no session."""
    try:
        async with admin.transaction() as (connection, events):
            row = await _row(connection, account_id, user, lock=True)
            _unchanged_since(row, version)
            wanted = profile(admin, row).edited(edit).checked()
            events += await _write(admin, connection, who, row, wanted, force_login=edit.force_login)  # noqa: PLW2901
            row = await _row(connection, account_id, user)
    except asyncpg.UniqueViolationError as twice:
        raise taken(twice) from None
    return await _shown(admin, row, events)


async def put(
    admin: Administration, who: Who, account_id: UUID, external_id: str, new: NewUser
) -> tuple[UserView, bool]:
    """Make or replace the user with that external id; gives the user and whether it is new.

    A password is left as it is when none is sent, or when the one sent is theirs already.
    """
    wanted = Profile.new(new)._replace(external_id=external_id).checked()
    may_touch(who, wanted.role)
    password_problem(new.password, new.password_hash, wanted.username)
    try:
        return await _put(admin, who, account_id, wanted, new)
    except (asyncpg.UniqueViolationError, Problem) as clash:  # made meanwhile: replace it
        if isinstance(clash, Problem) and clash.name != "external-id-taken":
            raise
    try:
        return await _put(admin, who, account_id, wanted, new)
    except asyncpg.UniqueViolationError as twice:
        raise taken(twice) from None


async def take(admin: Administration, who: Who, account_id: UUID, new: NewUser) -> tuple[UserView, bool]:
    """A line of an import: with an `external_id` a user is made or replaced, without one made."""
    if new.external_id is None:
        return await create(admin, who, account_id, new), True
    return await put(admin, who, account_id, new.external_id, new)


async def set_password(admin: Administration, who: Who, account_id: UUID, user: str, new: NewPassword) -> UserView:
    """Ends the user's sessions and logins under way."""
    if new.password is None and new.password_hash is None:
        raise refused("bad-password", "password", "Send password or password_hash.")
    row = await _row(admin.pool, account_id, user)
    may_touch(who, row["role"])
    stored = await _stored(admin, new.password, new.password_hash, row["username"])
    async with admin.transaction() as (connection, events):
        row = await _row(connection, account_id, user, lock=True)
        may_touch(who, row["role"])
        events += await _write(admin, connection, who, row, profile(admin, row), stored)  # noqa: PLW2901
        row = await _row(connection, account_id, user)
    return await _shown(admin, row, events)


async def unlock(admin: Administration, who: Who, account_id: UUID, user: str) -> UserView:
    """Forget the wrong codes and passwords of a user who was locked out."""
    async with admin.transaction() as (connection, _):
        row = await _row(connection, account_id, user, lock=True)
        may_touch(who, row["role"])
        await connection.execute(UNLOCK, row["user_id"])
        wrong = Names(admin.search).of("password", account_id, row["username_key"])
        await PostgresCounters(connection).forget(wrong)
        await audit.record(connection, who.name, "user.unlocked", account_id, str(row["user_id"]))
        row = await _row(connection, account_id, user)
    return full_view(admin, row)


async def delete(admin: Administration, who: Who, account_id: UUID, user: str) -> str:
    """Gives `now` or `queued`: whether the user's sessions are over already."""
    async with admin.transaction() as (connection, events):
        row = await _row(connection, account_id, user, lock=True)
        may_touch(who, row["role"])
        events += await sessions.erase_user(connection, admin.signer, row["user_id"], who.name)  # noqa: PLW2901
        await audit.record(connection, who.name, "user.deleted", account_id, str(row["user_id"]))
    return await admin.announce(events)


def may_touch(who: Who, *roles: str) -> None:
    """Whoever may edit an operator or admin could become one: only who holds as much may do it."""
    if "operator" in roles and not may_grant_operator(who):
        detail = "An operator is made and edited only by a client of account * with the scope operate."
        raise Problem(403, "grants-too-much", detail)
    if "admin" in roles and not _holds_what_admins_do(who):
        detail = "An admin is made and edited only by a client that holds every scope that an admin can grant."
        raise Problem(403, "grants-too-much", detail)


def _holds_what_admins_do(who: Who) -> bool:
    return not isinstance(who, Client) or may_grant_operator(who) or who.scopes >= SCOPES - NOT_AN_ADMINS


async def _insert(
    admin: Administration, connection: Connection, who: Who, account_id: UUID, user: Profile, stored: str | None
) -> Any:
    user_id = new_id()
    await check_free(connection, account_id, user_id, user)
    row = await connection.fetchrow(INSERT, user_id, account_id, stored, *columns(admin, user_id, user))
    details = {"role": user.role, "kind": user.kind}
    await audit.record(connection, who.name, "user.created", account_id, str(user_id), details)
    return row


async def _write(
    admin: Administration,
    connection: Connection,
    who: Who,
    row: Any,
    wanted: Profile,
    stored: str | None = None,
    force_login: bool = False,
) -> list[OutboxRow]:
    """Write what changed and what follows from it. The audit names fields, never values."""
    change = Change.between(profile(admin, row), wanted)
    _may_write(who, row, wanted, change)
    if not change.fields and stored is None and not force_login:
        return []
    if change.fields & {"username", "external_id"}:
        await check_free(connection, row["account_id"], row["user_id"], wanted)
    values = columns(admin, row["user_id"], wanted)
    await connection.execute(UPDATE, row["user_id"], stored or row["password_hash"], *values)
    fields = sorted(change.fields | ({"password"} if stored else set()) | ({"force_login"} if force_login else set()))
    await audit.record(connection, who.name, "user.changed", row["account_id"], str(row["user_id"]), {"fields": fields})
    ends = change.ends_sessions or stored is not None or force_login
    counters, now = PostgresCounters(connection), await connection.fetchval("SELECT now()")
    told = await notices.of_change(admin, counters, row, profile(admin, row), wanted, now)
    return told + await _consequences(admin, connection, who, row, ends, change.closes_logins)


def _may_write(who: Who, row: Any, wanted: Profile, change: Change) -> None:
    if change.needs_fresh_sign_in:
        fresh(who)
    may_touch(who, row["role"], wanted.role)


async def _consequences(
    admin: Administration, connection: Connection, who: Who, row: Any, ends_sessions: bool, closes_logins: bool
) -> list[OutboxRow]:
    if ends_sessions:
        return await sessions.expire_user(connection, admin.signer, row["user_id"], who.name)
    if closes_logins:
        return await sessions.close_logins(connection, row["user_id"], "contact-changed")
    return []


async def _put(
    admin: Administration, who: Who, account_id: UUID, wanted: Profile, new: NewUser
) -> tuple[UserView, bool]:
    before = await admin.pool.fetchrow(BY_EXTERNAL_ID, account_id, wanted.external_id)
    stored = await _new_password(admin, before, new)
    async with admin.transaction() as (connection, events):
        await connection.execute(GUARD_FIRST, before and before["user_id"])
        row = await connection.fetchrow(f"{BY_EXTERNAL_ID} FOR UPDATE OF users", account_id, wanted.external_id)
        if row is None:
            return full_view(admin, await _insert(admin, connection, who, account_id, wanted, stored)), True
        events += await _write(admin, connection, who, row, wanted, stored)  # noqa: PLW2901
        row = await _row(connection, account_id, str(row["user_id"]))
    return await _shown(admin, row, events), False


async def _new_password(admin: Administration, before: Any, new: NewUser) -> str | None:
    """The hash to store, or None where the password stays: a repeated import must not end everybody's sessions."""
    stored = before["password_hash"] if before is not None else None
    if stored is not None and await _is_same(admin, stored, new):
        return None
    return await _stored(admin, new.password, new.password_hash, new.username)


async def _is_same(admin: Administration, stored: str, new: NewUser) -> bool:
    if new.password is None:
        return new.password_hash == stored
    return (await admin.passwords.verify(stored, new.password)).ok


async def _stored(admin: Administration, password: str | None, password_hash: str | None, username: str) -> str | None:
    password_problem(password, password_hash, username)
    return await admin.passwords.hash(password) if password is not None else password_hash


async def _row(connection: Any, account_id: UUID, user: str, lock: bool = False) -> Any:
    user_id = as_id(user)
    if lock:
        await connection.execute(GUARD_FIRST, user_id)
    row = await connection.fetchrow(LOCKED if lock else BY_ID, account_id, user_id) if user_id else None
    if row is None:
        raise Problem(404, "not-found", "There is no such user in this account.")
    return row


def _unchanged_since(row: Any, version: int | None) -> None:
    if version is not None and version != row["version"]:
        detail = "The user was changed meanwhile. Read it again and repeat the change."
        raise Problem(412, "precondition-failed", detail, {"ETag": f'"{row["version"]}"'})


async def _shown(admin: Administration, row: Any, events: list[OutboxRow]) -> UserView:
    found = full_view(admin, row)
    effective = await admin.announce(events)
    if any(event.topic == SESSION_EVENTS.name for event in events):
        found.effective = effective
    return found
