"""`gatepost clients`."""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, Final, get_args

import typer

from services.login_gateway.commands_reach import Api, has_database_access, run
from services.platform import cli
from services.platform.scopes import Scope

app = typer.Typer(no_args_is_help=True, help="Programs that may call Gatepost.")

AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
OutFile = Annotated[Path | None, typer.Option(help="Write client_id:secret there (0600) instead of printing it.")]
SCOPES: Final = ", ".join(get_args(Scope))


@app.command("create")
def create(
    scope: Annotated[list[str] | None, typer.Option(help=f"One of {SCOPES}; may be given several times.")] = None,
    account: Annotated[str | None, typer.Option(help="Name or id of an account, or * for all.")] = None,
    name: Annotated[str, typer.Option(help="What you call it.")] = "",
    internal: Annotated[bool, typer.Option(help="One of Gatepost's own services: the scope internal.")] = False,
    out_file: OutFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a client. Its secret is shown once."""
    scopes = [*(scope or []), *(["internal"] if internal else [])]
    if not scopes:
        raise typer.BadParameter(f"give at least one --scope: {SCOPES}")
    if unknown := set(scopes) - set(get_args(Scope)):
        raise typer.BadParameter(f"there is no scope {', '.join(sorted(unknown))}; there are {SCOPES}")
    if "internal" in scopes and not has_database_access():
        cli.fail(
            "Only the command line with access to the gateway's database grants internal:"
            " set GATEPOST_KEYS and GATEPOST_DATABASE (or _FILE)."
        )
    body = {"scopes": scopes, "name": name} | ({"account": account} if account else {})
    _told(lambda api: api("POST", "/v1/clients", body), out_file, as_json)


@app.command("list")
def listed(as_json: AsJson = False) -> None:
    """The clients that you may see."""
    found = run(_all)
    cli.show(found, as_json, ["client_id", "name", "account", "scopes", "enabled", "feed_stopped_at"])


@app.command("disable")
def disable(client_id: str, as_json: AsJson = False) -> None:
    """Refuse a client from now on."""
    cli.show(run(lambda api: api("PATCH", f"/v1/clients/{cli.part(client_id)}", {"enabled": False})), as_json)


@app.command("enable")
def enable(client_id: str, as_json: AsJson = False) -> None:
    """Take a disabled client again."""
    cli.show(run(lambda api: api("PATCH", f"/v1/clients/{cli.part(client_id)}", {"enabled": True})), as_json)


@app.command("resume-feed")
def resume_feed(client_id: str, as_json: AsJson = False) -> None:
    """Let a client feed logins again whose feed was stopped for too many wrong codes."""
    cli.show(run(lambda api: api("PATCH", f"/v1/clients/{cli.part(client_id)}", {"resume_feed": True})), as_json)


@app.command("rotate")
def rotate(client_id: str, out_file: OutFile = None, as_json: AsJson = False) -> None:
    """Give a client a new secret; the old one is dead within a second, and elsewhere once Kafka has told."""
    path = f"/v1/clients/{cli.part(client_id)}"
    _told(lambda api: api("PATCH", path, {"rotate_secret": True}), out_file, as_json)


async def _all(api: Api) -> list[Any]:
    found, cursor = [], None
    while True:
        page = await api("GET", "/v1/clients", cursor=cursor)
        found += page["clients"]
        cursor = page["cursor"]
        if cursor is None:
            return found


def _told(action: Callable[[Api], Awaitable[Any]], out_file: Path | None, as_json: bool) -> None:
    """The file is opened first: a secret that could not be kept anywhere would be lost."""
    if out_file is None:
        return cli.show(run(action), as_json)
    with _replaced(out_file) as out:
        client = run(action)
        out.write(f"{client['client_id']}:{client.pop('client_secret')}\n")
    return cli.show(client, as_json)


@contextmanager
def _replaced(path: Path) -> Iterator[IO[str]]:
    """A file, readable by its owner only, that takes the place of `path` once all is written."""
    spare = path.with_name(f".{path.name}.{os.getpid()}")
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a directory")
    try:
        handle = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as bad:
        raise typer.BadParameter(f"{path}: {bad.strerror}") from None
    try:
        with os.fdopen(handle, "w") as out:
            yield out
        spare.replace(path)
    finally:
        spare.unlink(missing_ok=True)
