"""`gatepost clients`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from services.login_gateway.commands_reach import Api, run
from services.platform import cli

app = typer.Typer(no_args_is_help=True, help="Programs that may call Gatepost.")

AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
OutFile = Annotated[Path | None, typer.Option(help="Write client_id:secret there (0600) instead of printing it.")]


@app.command("create")
def create(
    scope: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    account: Annotated[str | None, typer.Option(help="Name or id of an account, or * for all.")] = None,
    name: Annotated[str, typer.Option(help="What you call it.")] = "",
    internal: Annotated[bool, typer.Option(help="One of Gatepost's own services: the scope internal.")] = False,
    out_file: OutFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a client. Its secret is shown once."""
    scopes = [*(scope or []), *(["internal"] if internal else [])]
    if not scopes:
        raise typer.BadParameter("give at least one --scope")
    body = {"scopes": scopes, "name": name} | ({"account": account} if account else {})
    _told(run(lambda api: api("POST", "/v1/clients", body)), out_file, as_json)


@app.command("list")
def listed(as_json: AsJson = False) -> None:
    """The clients that you may see."""
    found = run(_all)
    cli.show(found, as_json, ["client_id", "name", "account", "scopes", "enabled", "feed_stopped_at"])


@app.command("disable")
def disable(client_id: str, as_json: AsJson = False) -> None:
    """Refuse a client from now on."""
    cli.show(run(lambda api: api("PATCH", f"/v1/clients/{client_id}", {"enabled": False})), as_json)


@app.command("enable")
def enable(client_id: str, as_json: AsJson = False) -> None:
    """Take a disabled client again."""
    cli.show(run(lambda api: api("PATCH", f"/v1/clients/{client_id}", {"enabled": True})), as_json)


@app.command("resume-feed")
def resume_feed(client_id: str, as_json: AsJson = False) -> None:
    """Let a client feed logins again whose feed was stopped for too many wrong codes."""
    cli.show(run(lambda api: api("PATCH", f"/v1/clients/{client_id}", {"resume_feed": True})), as_json)


@app.command("rotate")
def rotate(client_id: str, out_file: OutFile = None, as_json: AsJson = False) -> None:
    """Give a client a new secret; the old one is dead within a second, and elsewhere once Kafka has told."""
    _told(run(lambda api: api("PATCH", f"/v1/clients/{client_id}", {"rotate_secret": True})), out_file, as_json)


async def _all(api: Api) -> list[Any]:
    found, cursor = [], None
    while True:
        page = await api("GET", "/v1/clients", cursor=cursor)
        found += page["clients"]
        cursor = page["cursor"]
        if cursor is None:
            return found


def _told(client: dict[str, Any], out_file: Path | None, as_json: bool) -> None:
    if out_file is not None:
        _keep(out_file, f"{client['client_id']}:{client.pop('client_secret')}\n")
    cli.show(client, as_json)


def _keep(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner only."""
    spare = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)
    spare.replace(path)
