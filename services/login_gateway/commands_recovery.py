"""`gatepost recover gateway` and `gatepost sessions republish`: both need database access."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from services.login_gateway.commands_clients import AsJson
from services.login_gateway.commands_reach import has_database_access
from services.platform import cli

if TYPE_CHECKING:
    from services.login_gateway.administration import Administration
    from services.login_gateway.postgres.recovery import Tell
    from services.platform.floors import Floor

recover = typer.Typer(no_args_is_help=True, help="After a restore: see docs/operations.md, Recovery.")
Work = Callable[["Administration", "Tell"], Awaitable[Counter[str]]]

Since = Annotated[str, typer.Option(help="RFC 3339, like 2026-03-01T12:00:00Z; the gateway keeps logins for 8 days.")]
Keep = Annotated[bool, typer.Option("--keep-sessions", help="End nothing: adopt the session store's floors.")]
FloorsFile = Annotated[Path | None, typer.Option(help="The file of `gatepost sessions floors --export`.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@recover.command("gateway")
def gateway(keep: Keep = False, floors: FloorsFile = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """After a restore of the gateway's database: end all sessions of all accounts, or adopt the store's floors."""
    from services.login_gateway.postgres import recovery

    if keep != (floors is not None):
        raise typer.BadParameter("--keep-sessions and --floors belong together: `gatepost sessions floors --export`")
    if floors is not None:
        found = _floors_of(floors)
        return _run(lambda admin, tell: recovery.adopt(admin, found, tell), as_json, "Adopting floors")
    if not yes:
        typer.confirm("All users of ALL accounts will have to sign in again. Go on?", abort=True)
    return _run(recovery.raise_all, as_json, "Ending sessions")


def republish(since: Since, as_json: AsJson = False) -> None:
    """Tell the session store again: every floor and length, and what was signed in since. Harmless to repeat."""
    from services.login_gateway.postgres import recovery
    from services.platform.keys.keyring import Keyrings
    from services.platform.keys.tokens import Mint

    instant = _instant(since)

    async def work(admin: "Administration", tell: "Tell") -> Counter[str]:
        mint = Mint(Keyrings(Path(os.environ["GATEPOST_KEYS"])).secret("mint"))
        return await recovery.republish(admin, mint, instant, tell)

    _run(work, as_json, "Telling the session store")


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("--since is an instant like 2026-03-01T12:00:00Z") from None
    if instant.tzinfo is None:
        raise typer.BadParameter("--since needs its offset, like 2026-03-01T12:00:00Z")
    return instant


def _floors_of(path: Path) -> "list[Floor]":
    from services.platform.floors import BadFloors, read

    try:
        return read(path, datetime.now(UTC).timestamp())
    except BadFloors as bad:
        cli.fail(str(bad))


def _run(work: Work, as_json: bool, title: str) -> None:
    if not has_database_access():
        cli.fail("This needs the gateway's GATEPOST_DATABASE (or _FILE) and GATEPOST_KEYS.", code=2)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed:.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=as_json or not console.is_terminal) as progress:
        bar = progress.add_task(title, total=None)
        done = asyncio.run(_with_administration(work, lambda name, count: progress.update(bar, advance=count)))
    cli.show(dict(done), as_json)
    if done["queued"]:
        console.print("what is queued goes out when a gateway runs and Kafka answers", markup=False)


async def _with_administration(work: Work, tell: "Tell") -> Counter[str]:
    import asyncpg

    from services.login_gateway.commands_database import administration, kafka_of_environment
    from services.platform.environment import secret_of

    try:
        async with AsyncExitStack() as stack:
            keys = Path(os.environ["GATEPOST_KEYS"])
            return await work(await administration(stack, secret_of("DATABASE"), keys, kafka_of_environment()), tell)
    except asyncpg.UndefinedTableError:
        cli.fail("GATEPOST_DATABASE must name the gateway's database.", code=2)
    except (OSError, TimeoutError, asyncpg.PostgresError) as away:
        cli.fail(f"The gateway's database does not answer ({type(away).__name__}). It is safe to do this again.")
