"""`gatepost audit`: services only write and read it; its owner may cut its end off."""

import asyncio
from typing import Annotated, Any, Final

import typer

audit = typer.Typer(no_args_is_help=True, help="The audit of one service's database.")

LEAST_DAYS: Final = 90
AT_ONCE: Final = 1000
REST_SECONDS: Final = 0.1
# The oldest are the first: none is looked at that stays.
OLDEST: Final = """
DELETE FROM audit WHERE id IN (
    SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT $2) AS first WHERE at < now() - make_interval(days => $1)
)
"""


@audit.command("purge")
def purge(
    older_than: Annotated[int, typer.Option(metavar="DAYS", min=LEAST_DAYS, help="At least 90.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete the audit's lines that are older than so many days. Needs GATEPOST_DATABASE (or _FILE) with the owner's
    rights: no service may do it.
    """
    from services.platform.environment import secret_of

    if not yes:
        typer.confirm(f"Delete the audit beyond {older_than} days for good?", abort=True, err=True)
    gone = asyncio.run(_purge(secret_of("DATABASE"), older_than))
    typer.echo(f"{gone} lines deleted")


async def _purge(dsn: str, days: int) -> int:
    import asyncpg

    connection: Any = await asyncpg.connect(dsn, timeout=10, command_timeout=30)
    gone = 0
    try:
        while more := int((await connection.execute(OLDEST, days, AT_ONCE)).rpartition(" ")[2]):
            gone += more
            await asyncio.sleep(REST_SECONDS)
    finally:
        await connection.close()
    return gone
