"""A database of a test's own, with a service's tables."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from deploy.local.postgres import DATABASES, OWNER
from deploy.local.stack import Stack
from services.platform import migrate


@asynccontextmanager
async def own_database(stack: Stack, service: str) -> AsyncIterator[str]:
    """Gives the DSN of the service's role; gone afterwards."""
    name = f"own_{os.urandom(4).hex()}"
    admin = await asyncpg.connect(stack.postgres.dsn("postgres", "postgres"))
    try:
        await admin.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
        await migrate.apply(stack.postgres.dsn(name, OWNER), service)
        yield stack.postgres.dsn(name, DATABASES[service])
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()
