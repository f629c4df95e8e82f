"""Postgres as whoever steals it reads it: every file and the log of changes, and every table through SQL."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg

from deploy.local.postgres import DATABASES
from deploy.local.stack import Stack
from tests.secrecy.pieces import Piece, in_folder, of_file, of_wal

OWN: Final = "postgres/other"
WAL: Final = "postgres/wal"
# An index, a table's TOAST and the index of that belong to the table.
FILES: Final = """
SELECT pg_relation_filenode(c.oid) AS node, coalesce(t.relname, i.relname, c.relname) AS name
FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid LEFT JOIN pg_class i ON i.oid = x.indrelid
LEFT JOIN pg_class t ON t.reltoastrelid = coalesce(x.indrelid, c.oid)
WHERE pg_relation_filenode(c.oid) IS NOT NULL
"""
TABLES: Final = """
SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname <> 'information_schema'
"""


async def read(stack: Stack) -> AsyncIterator[Piece]:
    home = await _written_out(stack)
    folders: dict[str, tuple[str, dict[str, str]]] = {}
    for service in DATABASES:
        async with _connected(stack, service) as connection:
            oid = await connection.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()")
            folders[str(oid)] = service, {str(row["node"]): row["name"] for row in await connection.fetch(FILES)}
            for table in await connection.fetch(TABLES):
                for piece in await _rows(connection, service, table):
                    yield piece
    for piece in _files(home, folders):
        yield piece


async def keep_wal(stack: Stack) -> None:
    """Let no log of changes be thrown away or written over while the tests run."""
    async with _connected(stack, "gateway") as connection:
        await connection.execute("ALTER SYSTEM SET wal_keep_size = '8GB'")
        await connection.execute("SELECT pg_reload_conf()")


async def _written_out(stack: Stack) -> Path:
    """Everything on the disk; gives the data folder."""
    async with _connected(stack, "gateway") as connection:
        await connection.execute("CHECKPOINT")
        await connection.fetchval("SELECT pg_switch_wal()")
        return Path(await connection.fetchval("SHOW data_directory"))


async def _rows(connection: Any, service: str, table: Any) -> list[Piece]:
    """A table out of its compression: as text, and as the bytes themselves (which text shows as hex)."""
    place = f"postgres/{service}/{table['name']}/row"
    kinds = ("text", "binary") if table["schema"] == "public" else ("text",)
    found = []
    for kind in kinds:
        held = bytearray()

        async def take(data: bytes, held: bytearray = held) -> None:
            held.extend(data)

        name = {"schema_name": table["schema"], "format": kind}
        await connection.copy_from_table(table["name"], output=take, **name)
        found.append(Piece(place, f"{kind} of {service} {table['name']}", bytes(held)))
    return found


def _files(home: Path, folders: dict[str, tuple[str, dict[str, str]]]) -> Iterator[Piece]:
    for path in in_folder(home):
        parts = path.relative_to(home).parts
        if parts[0] == "pg_wal":
            yield from of_wal(WAL, path)
        else:
            yield from of_file(_place(parts, folders), path)


def _place(parts: tuple[str, ...], folders: dict[str, tuple[str, dict[str, str]]]) -> str:
    if parts[0] == "base" and parts[1] in folders:
        service, names = folders[parts[1]]
        node = parts[2].partition(".")[0].partition("_")[0]
        return f"postgres/{service}/{names.get(node, 'unknown')}/file"
    return f"{OWN}/{parts[0]}"


@asynccontextmanager
async def _connected(stack: Stack, service: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(stack.dsn(service, "postgres"))
    try:
        yield connection
    finally:
        await connection.close()
