"""`gatepost sessions expire | expire-all`."""

from typing import Annotated, Any

import typer

from services.login_gateway.commands_accounts import chosen
from services.login_gateway.commands_clients import AsJson
from services.login_gateway.commands_reach import Api, run
from services.login_gateway.commands_users import Account, found
from services.platform import cli

app = typer.Typer(no_args_is_help=True, help="Sessions: end them.")


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
        known = await api("GET", f"/v1/accounts/{account}")
        body = {"confirm": known["name"]}
        return await api("POST", f"/v1/accounts/{known['account_id']}/expire-sessions", body)

    cli.show(run(action), as_json)
