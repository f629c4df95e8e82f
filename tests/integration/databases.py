"""A database of a test's own, with a service's tables."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from deploy.local.postgres import DATABASES, OWNER
from deploy.local.stack import Stack
from services.platform import migrate

CONNECTIONS: Final = 4
"""Of a service that a test builds: all are opened at its start, and each costs the server some 20 ms."""
_templates: Final = dict[tuple[Stack, str], str]()


@asynccontextmanager
async def own_database(stack: Stack, service: str) -> AsyncIterator[str]:
    """Gives the DSN of the service's role; gone afterwards. It is migrated once, and copied from then on."""
    name = f"own_{os.urandom(4).hex()}"
    admin = await asyncpg.connect(stack.postgres.dsn("postgres", "postgres"))
    try:
        template = _templates.get((stack, service)) or await _migrated(stack, service, admin)
        await admin.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template} STRATEGY file_copy")
        yield stack.postgres.dsn(name, DATABASES[service])
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()


async def _migrated(stack: Stack, service: str, admin: Any) -> str:
    name = f"template_{os.urandom(4).hex()}"
    await admin.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    await migrate.apply(stack.postgres.dsn(name, OWNER), service)
    _templates[stack, service] = name
    return name
