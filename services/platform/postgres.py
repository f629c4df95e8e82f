"""asyncpg, kept thin: one pool per process, and one name for "the database is away"."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import asyncpg
import msgspec
import structlog

log = structlog.get_logger()
T = TypeVar("T")

AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that died under a statement: its protocol is "in the failed state"
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,  # undone by the server: the same again succeeds
    asyncpg.ReadOnlySQLTransactionError,  # a failover under way: this server is no primary (yet, or any more)
)
# Postgres' own cost of a page by an index is that of a turning disk: by it a new table is read as a whole, not by its
# key, and a plan is kept while the table grows. Compiling a statement takes longer than any of ours runs.
SETTINGS: Final = {"idle_in_transaction_session_timeout": "15000", "random_page_cost": "1.1", "jit": "off"}


async def connect(dsn: str, service: str, size: int = 12) -> asyncpg.Pool[asyncpg.Record]:
    """A pool whose statements end after 10 s. Raises `OSError` or a `PostgresError` when the server is not there.

    All connections are opened at once: a new one costs 20 ms (SCRAM, the types that asyncpg asks for), which the first
    login of a busy moment would wait for.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=size,
        max_size=size,
        timeout=3,
        command_timeout=10,
        init=_prepare,
        reset=_left_as_found,
        server_settings=SETTINGS | {"application_name": f"gatepost-{service}"},
    )


async def connect_when_up(dsn: str, service: str, size: int = 12) -> asyncpg.Pool[asyncpg.Record]:
    """The same, waiting for a server that is not up yet."""
    return await until_it_works(lambda: connect(dsn, service, size), "database_not_up_yet")


async def until_it_works(action: Callable[[], Awaitable[T]], event: str) -> T:
    """Repeat while the database is away, with growing pauses up to 2 s; other errors pass."""
    pause = 0.05
    while True:
        try:
            return await action()
        except AWAY as away:
            log.warning(event, error=type(away).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)


async def _left_as_found(_: Any) -> None:
    """Nothing here changes a connection's settings: asyncpg's own reset would cost each release a round trip."""


async def _prepare(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=lambda v: msgspec.json.encode(v).decode(), decoder=msgspec.json.decode
        )
