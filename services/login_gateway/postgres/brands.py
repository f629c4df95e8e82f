"""Brands in Postgres."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import asyncpg

from services.login_gateway import brands
from services.login_gateway.administration import Administration
from services.login_gateway.brands import Brand
from services.login_gateway.postgres import accounts
from services.platform import audit
from services.platform.auth import Who

OF: Final = "SELECT name, colour, logo_kind, logo FROM brands WHERE account_id = $1"
PUT: Final = """
INSERT INTO brands (account_id, name, colour, logo_kind, logo) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account_id) DO UPDATE SET name = $2, colour = $3, logo_kind = $4, logo = $5
"""


class PostgresBrands:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def of(self, account_id: UUID) -> Brand:
        return brands.of_row(await self._pool.fetchrow(OF, account_id))


async def one(admin: Administration, who: Who, given: str) -> Brand:
    account = await accounts.found(admin.pool, who, given)
    return brands.of_row(await admin.pool.fetchrow(OF, account["account_id"]))


async def put(admin: Administration, who: Who, given: str, brand: Brand) -> Brand:
    """Replaces all of it."""
    wanted = brands.checked(brand)
    logo: tuple[Any, Any] = (wanted.logo.kind, wanted.logo.data) if wanted.logo is not None else (None, None)
    async with admin.transaction() as (connection, _):
        account = await accounts.found(connection, who, given, lock=True)
        account_id = account["account_id"]
        await connection.execute(PUT, account_id, wanted.name, wanted.colour, *logo)
        told = brands.described(wanted)
        await audit.record(connection, who.name, "account.brand", account_id, str(account_id), told)
    return wanted
