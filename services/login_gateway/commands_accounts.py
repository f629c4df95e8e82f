"""`gatepost accounts`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from services.login_gateway.commands_clients import AsJson
from services.login_gateway.commands_reach import Api, run
from services.login_gateway.states import AccountState
from services.platform import cli

app = typer.Typer(no_args_is_help=True, help="Customer organisations.")

SessionSeconds = Annotated[int | None, typer.Option(help="How long a session lasts, 3600 to 31536000.")]
CodeDigits = Annotated[int | None, typer.Option(help="Digits of a code, 6 to 10.")]
CodeSeconds = Annotated[int | None, typer.Option(help="How long a code lives, 60 to 600.")]
FeedPerMinute = Annotated[int | None, typer.Option(help="Logins that platforms may feed in a minute, 500 to 600000.")]


@app.command("create")
def create(
    name: str,
    session_seconds: SessionSeconds = None,
    code_digits: CodeDigits = None,
    code_seconds: CodeSeconds = None,
    feed_per_minute: FeedPerMinute = None,
    as_json: AsJson = False,
) -> None:
    """Make an account."""
    body = {"name": name, "settings": _settings(session_seconds, code_digits, code_seconds, feed_per_minute)}
    cli.show(run(lambda api: api("POST", "/v1/accounts", body)), as_json)


@app.command("list")
def listed(as_json: AsJson = False) -> None:
    """The accounts that you may see."""
    cli.show(run(everyone), as_json, ["account_id", "name", "state", "created_at"])


@app.command("show")
def show(account: str, as_json: AsJson = False) -> None:
    """One account and its settings, by name or id."""
    cli.show(run(lambda api: api("GET", f"/v1/accounts/{cli.part(account)}")), as_json)


@app.command("set")
def change(
    account: str,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    state: Annotated[AccountState | None, typer.Option(help="Nobody signs in to a suspended account.")] = None,
    session_seconds: SessionSeconds = None,
    code_digits: CodeDigits = None,
    code_seconds: CodeSeconds = None,
    feed_per_minute: FeedPerMinute = None,
    as_json: AsJson = False,
) -> None:
    """Change an account's name, state or settings."""
    body: dict[str, Any] = {key: value for key, value in (("name", name), ("state", state)) if value is not None}
    if settings := _settings(session_seconds, code_digits, code_seconds, feed_per_minute):
        body["settings"] = settings
    if not body:
        raise typer.BadParameter("say what to change; see --help")
    cli.show(run(lambda api: api("PATCH", f"/v1/accounts/{cli.part(account)}", body)), as_json)


@app.command("brand")
def brand(
    account: str,
    name: Annotated[str | None, typer.Option(help="What the pages call the account.")] = None,
    colour: Annotated[str | None, typer.Option(help="Of buttons and links, like #1f3c88.")] = None,
    logo: Annotated[Path | None, typer.Option(help="A PNG or SVG of 32 KiB at most.", exists=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Give an account's sign-in pages its name, colour and logo; what is left out is Gatepost's own."""
    body: dict[str, Any] = {"name": name, "colour": colour, "logo": _logo(logo) if logo is not None else None}
    found = run(lambda api: api("PUT", f"/v1/accounts/{cli.part(account)}/brand", body))
    cli.show({"name": found["name"], "colour": found["colour"], "logo": (found["logo"] or {}).get("kind")}, as_json)


def _logo(path: Path) -> dict[str, str]:
    from services.login_gateway.brands import logo_of

    kind = "image/svg+xml" if path.suffix.lower() == ".svg" else "image/png"
    return logo_of(kind, path.read_bytes())


async def everyone(api: Api) -> list[Any]:
    """All accounts that the caller may see."""
    found, cursor = [], None
    while True:
        page = await api("GET", "/v1/accounts", cursor=cursor)
        found += page["accounts"]
        cursor = page["cursor"]
        if cursor is None:
            return found


async def chosen(api: Api, given: str | None) -> str:
    """The account that was named, or the only one there is."""
    if given is not None:
        return cli.part(given)
    found = await everyone(api)
    if len(found) != 1:
        cli.fail(f"There are {len(found)} accounts: say which with --account.", code=2)
    return str(found[0]["account_id"])


def _settings(
    session_seconds: int | None, code_digits: int | None, code_seconds: int | None, feed_per_minute: int | None
) -> dict[str, int]:
    given = {
        "session_seconds": session_seconds,
        "code_digits": code_digits,
        "code_seconds": code_seconds,
        "feed_per_minute": feed_per_minute,
    }
    return {name: value for name, value in given.items() if value is not None}
