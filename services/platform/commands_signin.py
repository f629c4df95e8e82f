"""`gatepost login | logout | whoami`: a person's sign-in for the command line."""

import os
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from services.platform import cli

GATEWAY: Final = typer.Option(envvar="GATEPOST_GATEWAY_URL", help="Its address.")
DELIVERY: Final = typer.Option(envvar="GATEPOST_DELIVERY_URL", help="Its address.")
SESSION_STORE: Final = typer.Option(envvar="GATEPOST_SESSION_STORE_URL", help="Its address.")


def login(
    username: Annotated[str, typer.Option(prompt=True, help="Asked for when it is left out.")],
    account: Annotated[str | None, typer.Option(help="May be left out when there is one account.")] = None,
    gateway: Annotated[str, GATEWAY] = "http://127.0.0.1:8080",
    delivery: Annotated[str, DELIVERY] = "http://127.0.0.1:8081",
    session_store: Annotated[str, SESSION_STORE] = "http://127.0.0.1:8082",
) -> None:
    """Sign in with password and code; the token (12 hours at most) is kept in a file that only you can read."""
    where = cli.Saved(gateway.rstrip("/"), delivery.rstrip("/"), session_store.rstrip("/"))
    body = {"username": username, "password": cli.hidden("Password"), "audience": "gatepost"}
    answer = cli.call_as(where, "gateway", "POST", "/v1/logins", body | ({"account": account} if account else {}))
    if answer["status"] == "code_required":
        answer = _with_code(where, answer)
    where.authorization, where.username = f"Bearer {answer['token']}", username
    cli.save(where)
    typer.echo(f"signed in until {answer['expires_at']}")
    if cli.CLIENT_FILE in os.environ:
        typer.echo(f"{cli.CLIENT_FILE} is set: the other commands go on as that client until you unset it.", err=True)


def logout() -> None:
    """End the session that `gatepost login` opened, and forget its token."""
    where = cli.kept()
    if where is None:
        typer.echo("you were not signed in")
        return
    _ask(where, "/v1/revoke", where.authorization.partition(" ")[2])
    cli.forget()
    typer.echo("signed out")


def whoami(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Who the commands act as, and for how long."""
    where = cli.saved()
    scheme, _, token = where.authorization.partition(" ")
    if scheme != "Bearer":
        cli.show({"client": os.environ[cli.CLIENT_FILE], "gateway": where.gateway}, as_json)
        return
    found = _ask(where, "/v1/introspect", token)
    if found is None or not found["active"]:
        cli.fail("The saved sign-in is over. Run `gatepost login`.")
    ends = datetime.fromtimestamp(found["exp"], UTC).isoformat().replace("+00:00", "Z")
    shown = {name: found[name] for name in ("sub", "account", "role", "acr")}
    cli.show({"username": where.username, **shown, "expires_at": ends, "gateway": where.gateway}, as_json)


def _ask(where: cli.Saved, path: str, token: str) -> Any:
    """What the session store says of our own token; None when the session is over."""
    try:
        return cli.answer_to(where, "session_store", "POST", path, form={"token": token})
    except cli.Refused as refused:
        if refused.status != 401:
            cli.fail(str(refused))
        return None


def _with_code(where: cli.Saved, answer: dict[str, Any]) -> Any:
    """Asks again while the login has tries left."""
    sent = answer["delivery"]
    typer.echo(f"a code is on its way to {sent['to']} ({sent['channel']})")
    while True:
        try:
            code = {"code": typer.prompt("Code")}
            return cli.answer_to(where, "gateway", "POST", f"/v1/logins/{answer['login']}/verify", code)
        except cli.Refused as refused:
            left = refused.more.get("attempts_left", 1 if refused.name == "bad-request" else 0)
            if not left:
                cli.fail(str(refused))
            typer.echo(refused.more["detail"], err=True)
