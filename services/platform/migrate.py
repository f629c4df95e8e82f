"""Numbered `.sql` files per service, applied in order under an advisory lock, each in a transaction of its own."""

import hashlib
from pathlib import Path
from typing import Any, Final

import asyncpg

LOCK: Final = 0x6761746570  # "gatep": one migration at a time for each database
SERVICES: Final = Path(__file__).parent.parent
SHARED: Final = Path(__file__).parent / "migrations"
FOLDERS: Final = {"gateway": "login_gateway", "delivery": "delivery", "session-store": "session_store"}
ROLES: Final = {"gateway": "gatepost_gateway", "delivery": "gatepost_delivery", "session-store": "gatepost_sessions"}


class MigrationError(Exception):
    """A migration that was applied differs from the file of its name; restore the file or write a new one."""


def files_of(service: str) -> list[Path]:
    own = SERVICES / FOLDERS[service] / "migrations"
    return sorted(SHARED.glob("*.sql")) + sorted(own.glob("*.sql"))


async def apply(dsn: str, service: str) -> list[str]:
    """Apply what is missing; gives the names applied. The DSN is the owner's."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        applied = await _applied(connection)
        return [path.name for path in files_of(service) if await _apply_one(connection, path, service, applied)]
    finally:
        await connection.close()


async def pending(dsn: str, service: str) -> list[str]:
    """Names of the files that `apply` would apply."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        applied = await _applied(connection)
        return [path.name for path in files_of(service) if path.name not in applied]
    finally:
        await connection.close()


async def missing(connection: Any, service: str) -> list[str]:
    """The same, by a service's own connection, which may only look."""
    applied = {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}
    return [path.name for path in files_of(service) if path.name not in applied]


async def _applied(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, hash text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    return {row["name"]: row["hash"] for row in await connection.fetch("SELECT name, hash FROM migrations")}


async def _apply_one(
    connection: "asyncpg.Connection[asyncpg.Record]", path: Path, service: str, applied: dict[str, str]
) -> bool:
    text = path.read_text()  # noqa: ASYNC240 - a command of its own, nothing else runs beside it
    text = text.replace("{role}", ROLES[service])
    digest = hashlib.sha256(text.encode()).hexdigest()
    if path.name in applied:
        if applied[path.name] != digest:
            raise MigrationError(f"{path.name}: applied before with another content")
        return False
    async with connection.transaction():
        await connection.execute(text)
        await connection.execute("INSERT INTO migrations (name, hash) VALUES ($1, $2)", path.name, digest)
    return True
