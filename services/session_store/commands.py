"""`gatepost sessions floors`, `gatepost recover session-store`: with access to the session store's database."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from services.platform import cli
from services.platform.environment import secret_of
from services.platform.settings import KafkaSettings, parsed

app = typer.Typer(no_args_is_help=True)
recover = typer.Typer(no_args_is_help=True)


@app.command("floors")
def floors(
    export: Annotated[Path, typer.Option("--export", help="The file to write (0600).", dir_okay=False)],
) -> None:
    """Write the floors of all accounts and users for `gatepost recover gateway --keep-sessions`.

    Needs GATEPOST_DATABASE (or _FILE) of the session store.
    """
    typer.echo(f"{asyncio.run(_exported(secret_of('DATABASE'), export))} floors in {export}")


async def _exported(dsn: str, path: Path) -> int:
    import asyncpg

    from services.platform import floors as file

    try:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                at = await connection.fetchval("SELECT clock_timestamp()")
                rows = await connection.fetch("SELECT scope, id, floor FROM floors ORDER BY scope, id", timeout=600)
        finally:
            await connection.close()
    except asyncpg.UndefinedTableError:
        cli.fail("This database has no floors: GATEPOST_DATABASE must name the session store's.", code=2)
    except (OSError, TimeoutError, asyncpg.PostgresError) as away:
        cli.fail(f"The session store's database does not answer ({type(away).__name__}).")
    file.write(path, at, [file.Floor(**dict(row)) for row in rows])
    return len(rows)


@recover.command("session-store")
def session_store() -> None:
    """After a restore older than the topic: read on from where it begins. Then run `gatepost sessions republish`.

    Needs GATEPOST_DATABASE (or _FILE) of the session store, which must not be running, and GATEPOST_KAFKA.
    """
    typer.echo(f"{asyncio.run(_moved(secret_of('DATABASE')))} offsets moved")


async def _moved(dsn: str) -> int:
    import asyncpg
    from aiokafka.errors import KafkaError

    from services.platform.kafka import Connection
    from services.session_store.recovery import into_the_log

    try:
        return await into_the_log(dsn, Connection.of(parsed(KafkaSettings)))
    except asyncpg.UndefinedTableError:
        cli.fail("This database has no offsets: GATEPOST_DATABASE must name the session store's.", code=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, KafkaError) as away:
        cli.fail(f"Kafka or the session store's database does not answer ({type(away).__name__}).")


GROUPS: Final[dict[str, typer.Typer]] = {"sessions": app, "recover": recover}
