"""`gatepost login | logout | whoami`: a person's sign-in for the command line."""

from typing import Annotated, Any

import typer

from services.platform import cli


def login(
    username: Annotated[str, typer.Option(prompt=True)],
    account: Annotated[str | None, typer.Option(help="May be left out when there is one account.")] = None,
    gateway: str = "http://127.0.0.1:8080",
    delivery: str = "http://127.0.0.1:8081",
    session_store: str = "http://127.0.0.1:8082",
) -> None:
    """Sign in with password and code; the token (12 hours at most) is kept in a file that only you can read."""
    where = cli.Saved(gateway, delivery, session_store)
    password = typer.prompt("Password", hide_input=True)
    body = {"username": username, "password": password, "audience": "gatepost"}
    answer = cli.call_as(where, "gateway", "POST", "/v1/logins", body | ({"account": account} if account else {}))
    if answer["status"] == "code_required":
        answer = _with_code(where, answer)
    where.authorization = f"Bearer {answer['token']}"
    cli.save(where)
    typer.echo(f"signed in until {answer['expires_at']}")


def logout() -> None:
    """End the session and forget the token."""
    where = cli.saved()
    scheme, _, token = where.authorization.partition(" ")
    if scheme == "Bearer":
        _ask(where, "/v1/revoke", token)
    typer.echo("signed out" if cli.forget() else "you were not signed in")


def whoami(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Who the saved sign-in is, and for how long."""
    where = cli.saved()
    scheme, _, token = where.authorization.partition(" ")
    if scheme != "Bearer":
        cli.show({"client": "from GATEPOST_CLIENT_FILE", "gateway": where.gateway}, as_json)
        return
    found = _ask(where, "/v1/introspect", token)
    if found is None or not found["active"]:
        cli.fail("The saved sign-in is over. Run `gatepost login`.")
    cli.show({name: found[name] for name in ("sub", "account", "role", "acr", "exp")}, as_json)


def _ask(where: cli.Saved, path: str, token: str) -> Any:
    """What the session store says of our own token; None when the session is over."""
    try:
        return cli.answer_to(where, "session_store", "POST", path, form={"token": token})
    except cli.Refused as refused:
        if refused.status != 401:
            cli.fail(str(refused))
        return None


def _with_code(where: cli.Saved, answer: dict[str, Any]) -> Any:
    sent = answer["delivery"]
    typer.echo(f"a code is on its way to {sent['to']} ({sent['channel']})")
    code = typer.prompt("Code")
    return cli.call_as(where, "gateway", "POST", f"/v1/logins/{answer['login']}/verify", {"code": code})
