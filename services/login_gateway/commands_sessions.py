"""`gatepost sessions list | end | expire | expire-all | republish`."""

from typing import Annotated, Any, Final

import typer

from services.login_gateway.commands_accounts import chosen
from services.login_gateway.commands_clients import AsJson
from services.login_gateway.commands_reach import Api, run
from services.login_gateway.commands_recovery import republish
from services.login_gateway.commands_users import Account, found
from services.platform import cli

app = typer.Typer(no_args_is_help=True, help="Sessions: list them, end them, tell the session store again.")
app.command("republish")(republish)

COLUMNS: Final = ["issued_at", "expires_at", "login_id", "user_id", "acr", "aud", "device"]


@app.command("list")
def listed(
    account: Account = None,
    user: Annotated[str | None, typer.Option(help="Username or id; without it, the whole account.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: AsJson = False,
) -> None:
    """Live sessions, newest first, and how many there are by age."""

    async def resolved(api: Api) -> tuple[str, str | None]:
        place = str((await api("GET", f"/v1/accounts/{await chosen(api, account)}"))["account_id"])
        return place, (await found(api, place, user))["user_id"] if user else None

    place, who = run(resolved)
    page = cli.call("session_store", "GET", "/v1/sessions", account=place, user=who, limit=limit)
    if as_json:
        return cli.show(page, as_json)
    cli.show(page["sessions"], as_json, COLUMNS)
    ages = page["count_by_age"]
    return typer.echo(
        f"{ages['all']} live: {ages['day']} opened in the last day, {ages['week']} in the last week,"
        f" {ages['month']} in the last month"
    )


@app.command("end")
def end(login_id: str, as_json: AsJson = False) -> None:
    """End one session, by the login_id that the list shows."""
    cli.show(cli.call("session_store", "DELETE", f"/v1/sessions/{cli.part(login_id)}"), as_json)


@app.command("expire")
def expire(user: str, account: Account = None, as_json: AsJson = False) -> None:
    """End every session of one user, by username or id."""

    async def action(api: Api) -> Any:
        place = await chosen(api, account)
        known = await found(api, place, user)
        return await api("POST", f"/v1/accounts/{place}/users/{known['user_id']}/expire-sessions", {})

    cli.show(run(action), as_json)


@app.command("expire-all")
def expire_all(
    account: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """End every session of an account: all its users sign in again."""
    if not yes:
        typer.confirm(f"All users of {account} will have to sign in again. Go on?", abort=True)

    async def action(api: Api) -> Any:
        known = await api("GET", f"/v1/accounts/{cli.part(account)}")
        body = {"confirm": known["name"]}
        return await api("POST", f"/v1/accounts/{known['account_id']}/expire-sessions", body)

    cli.show(run(action), as_json)
