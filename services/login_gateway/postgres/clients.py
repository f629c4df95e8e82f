"""Clients in the gateway's own table, which `ClientChanged` copies to the other services."""

from typing import Any, Final

from services.login_gateway.accounts import as_id
from services.login_gateway.administration import Administration, Connection
from services.login_gateway.clients import (
    ClientView,
    EditClient,
    NewClient,
    changed,
    checked_name,
    checked_scopes,
    may_grant,
    may_see,
    new_client_id,
    new_secret,
)
from services.login_gateway.feed_keys import public_key
from services.login_gateway.postgres import feeds
from services.platform import audit
from services.platform.auth import Who, hash_secret, own_account
from services.platform.http import Problem
from services.platform.outbox import row_for

INSERT: Final = """
INSERT INTO clients (client_id, secret_hash, feed_key, account, scopes, enabled, revision, name)
VALUES ($1, $2, $3, $4, $5, true, floor(extract(epoch FROM clock_timestamp()) * 1000), $6)
RETURNING *, feed_stopped_at(clients)
"""
UPDATE: Final = """
UPDATE clients SET secret_hash = $2, feed_key = $3, scopes = $4, enabled = $5, name = $6,
    revision = greatest(revision + 1, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
WHERE client_id = $1 RETURNING *, feed_stopped_at(clients)
"""
FIND: Final = "SELECT *, feed_stopped_at(clients) FROM clients WHERE client_id = $1"
LOCKED: Final = f"{FIND} FOR UPDATE"
PAGE: Final = """
SELECT *, feed_stopped_at(clients) FROM clients
WHERE ($1::text IS NULL OR account = $1) AND client_id > $2 ORDER BY client_id LIMIT $3
"""
PAGE_SIZE: Final = 100


async def listed(admin: Administration, who: Who, after: str | None = None) -> tuple[list[ClientView], str | None]:
    """The caller's clients (of all accounts for account `*`), by id; and where to go on."""
    rows = await admin.pool.fetch(
        PAGE,
        own_account(who),
        after or "",
        PAGE_SIZE + 1,
    )
    views = [ClientView.of(row) for row in rows[:PAGE_SIZE]]
    return views, views[-1].client_id if len(rows) > PAGE_SIZE else None


async def one(admin: Administration, who: Who, client_id: str) -> ClientView:
    return ClientView.of(await _row(admin.pool, who, client_id))


async def create(admin: Administration, who: Who, new: NewClient, account: str) -> ClientView:
    """Make a client; the answer is the only place where its secret stands."""
    scopes = checked_scopes(new.scopes)
    may_grant(who, account, scopes)
    secret = new_secret()
    values = (new_client_id(), hash_secret(secret), public_key(secret), account, scopes, checked_name(new.name))
    async with admin.transaction() as (connection, events):
        row = await connection.fetchrow(INSERT, *values)
        await _recorded(admin, connection, events, who, "client.created", row)
    await admin.announce(events)
    return ClientView.of(row, secret)


async def change(admin: Administration, who: Who, client_id: str, edit: EditClient) -> ClientView:
    """Nobody edits a client that holds more than they do, for a new secret would be theirs."""
    secret = new_secret() if edit.rotate_secret else None
    async with admin.transaction() as (connection, events):
        old = await _row(connection, who, client_id, lock=True)
        values = _edited(old, edit, secret)
        may_grant(who, old["account"], {*old["scopes"], *values[2]})
        if edit.resume_feed:
            await feeds.resume(connection, client_id)
        row = await connection.fetchrow(UPDATE, client_id, *values)
        more = {"rotated": edit.rotate_secret, "feed_resumed": edit.resume_feed}
        await _recorded(admin, connection, events, who, "client.changed", row, **more)
    admin.client_changed(client_id)
    await admin.announce(events)
    return ClientView.of(row, secret)


def _edited(old: Any, edit: EditClient, secret: str | None) -> tuple[bytes, bytes | None, list[str], bool, str]:
    hashed, public = old["secret_hash"], old["feed_key"]
    if secret is not None:
        hashed, public = hash_secret(secret), public_key(secret)
    scopes = checked_scopes(edit.scopes) if isinstance(edit.scopes, set) else old["scopes"]
    enabled = edit.enabled if isinstance(edit.enabled, bool) else old["enabled"]
    return hashed, public, scopes, enabled, checked_name(edit.name if isinstance(edit.name, str) else old["name"])


async def _row(connection: Any, who: Who, client_id: str, lock: bool = False) -> Any:
    row = await connection.fetchrow(LOCKED if lock else FIND, client_id) if client_id.isprintable() else None
    if row is None:
        raise Problem(404, "not-found", "There is no such client.")
    may_see(who, row["account"])
    return row


async def _recorded(
    admin: Administration, connection: Connection, events: list[Any], who: Who, action: str, row: Any, **more: Any
) -> None:
    details = {"scopes": row["scopes"], "enabled": row["enabled"], "revision": row["revision"], **more}
    await audit.record(connection, who.name, action, as_id(row["account"]), row["client_id"], details)
    events.append(row_for(changed(row, admin.clock.now()), admin.signer))
