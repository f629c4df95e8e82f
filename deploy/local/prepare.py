"""What a system needs before its services start, made by the product's own functions in this process."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from deploy.local.environment import Environment
from deploy.local.postgres import DATABASES, OWNER, Postgres
from services.login_gateway.clients import NewClient
from services.login_gateway.commands_database import administration
from services.login_gateway.postgres import clients
from services.login_gateway.who import COMMAND_LINE
from services.platform import migrate
from services.platform.auth import EVERY
from services.platform.kafka import Connection
from services.platform.keys.files import make_keys
from services.platform.scopes import Scope
from services.platform.topics import create_topics

PARTITIONS: Final = 12
CLIENTS: Final[dict[str, set[Scope]]] = {
    "gateway": {"internal"},
    "delivery": {"internal"},
    "operator": {"introspect", "feed", "deliveries:read", "deliveries:replay", "accounts:write", "operate"},
}


async def keys(environment: Environment) -> None:
    await asyncio.to_thread(make_keys, environment.keys)


async def topics_and_migrations(kafka: str, postgres: Postgres) -> None:
    """With the owner's rights, each service's database at the same time."""
    steps = [migrate.apply(postgres.dsn(DATABASES[name], OWNER), name) for name in DATABASES]
    await asyncio.gather(create_topics(Connection(kafka), PARTITIONS, 1), *steps)


async def service_clients(kafka: str, dsn: str, environment: Environment) -> None:
    """The gateway and delivery call the session store with a client of their own; `operator` is for people."""
    missing = {name: scopes for name, scopes in CLIENTS.items() if not environment.client_file(name).exists()}
    if not missing:
        return
    async with AsyncExitStack() as stack:
        admin = await administration(stack, dsn, environment.keys / "gateway", Connection(kafka))
        for name, scopes in missing.items():
            made = await clients.create(admin, COMMAND_LINE, NewClient(scopes, name), EVERY)
            _keep(environment.client_file(name), f"{made.client_id}:{made.client_secret}\n")


def _keep(path: Path, secret: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(secret)
