"""The audit: who did what to whom. Services may insert and read it, never change it."""

from __future__ import annotations

from typing import Any

import asyncpg

INSERT = "INSERT INTO audit (who, action, account_id, subject, details) VALUES ($1, $2, $3, $4, $5)"


async def record(
    connection: Any, who: str, action: str, account_id: Any, subject: str, details: dict[str, Any] | None = None
) -> None:
    """Write one line in the caller's transaction. `details` holds no contact, code or secret."""
    await connection.execute(INSERT, who, action, account_id, subject, details or {})


async def page(pool: asyncpg.Pool[asyncpg.Record], account_id: Any, before: int | None, limit: int) -> list[Any]:
    return await pool.fetch(
        "SELECT id, at, who, action, subject, details FROM audit"
        " WHERE account_id = $1 AND id < coalesce($2, 9223372036854775807) ORDER BY id DESC LIMIT $3",
        account_id,
        before,
        limit,
    )
