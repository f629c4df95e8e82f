"""`gatepost probe`: a real sign-in of a user who is there for that, followed to the phone."""

import os
import time
from typing import Annotated, Any, Final

import typer

from services.delivery.terminal import probing
from services.platform import cli
from services.platform.environment import secret_of

PASSWORD: Final = "PROBE_PASSWORD"  # noqa: S105 - a setting's name


def probe(
    account: Annotated[str, typer.Option(help="Name or id of the account.")],
    username: Annotated[str, typer.Option(help="A user made for this: its phone is yours.")],
    verify: Annotated[bool, typer.Option("--verify", help="Ask for the code, sign in with it, and out again.")] = False,
    allow_fallback: Annotated[
        bool, typer.Option("--allow-fallback", help="An e-mail instead of the SMS is good enough.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=1, max=300, help="Seconds to wait for the code to arrive.")] = 60,
) -> None:
    """Sign in as that user through the real provider and time each step. The password is asked for, or comes from
    GATEPOST_PROBE_PASSWORD (or _FILE). Exit code 0 when the code arrived as it should, 1 when it did not, 3 when a
    limit kept it from being tried.
    """
    who, where = cli.saved(), cli.saved()
    where.authorization = ""
    password = _password()
    watch = _Watch()
    answer = _begin(where, account, username, password)
    begun_ms = watch.tell(f"the gateway took the login ({answer['login_id']})")
    code = _follow(who, answer["login_id"], timeout, allow_fallback, begun_ms)
    if verify and not code:
        _finish(where, answer["login"], watch)
    elif not code:
        typer.echo(f"The code stays unused; the login ends by itself at {answer['expires_at']}.")
    raise typer.Exit(code)


def _password() -> str:
    given = any(f"GATEPOST_{PASSWORD}{end}" in os.environ for end in ("", "_FILE"))
    return secret_of(PASSWORD) if given else cli.hidden("Password")


def _begin(where: cli.Saved, account: str, username: str, password: str) -> dict[str, Any]:
    body = {"account": account, "username": username, "password": password, "audience": "gatepost"}
    try:
        answer: dict[str, Any] = cli.answer_to(where, "gateway", "POST", "/v1/logins", body)
    except cli.Refused as refused:
        if refused.status == 429:
            limit = "Nothing was tested: that is a limit of this user or address, not an outage."
            cli.fail(f"{refused}\n{limit}", probing.NOT_TESTED)
        cli.fail(str(refused))
    if answer["status"] != "code_required":
        _sign_out(where, answer["token"])
        cli.fail("This user has no second factor: nothing was sent. Probe with one that has.")
    return answer


def _follow(who: cli.Saved, login_id: str, seconds: float, allow_fallback: bool, begun_ms: float) -> int:
    """The exit code."""
    from rich.console import Console

    from services.delivery.terminal.timeline import step_line

    out = Console()
    try:
        for step in probing.steps_of(who, login_id, seconds):
            out.print(step_line(step, begun_ms), soft_wrap=True)
    except TimeoutError:
        cli.fail(f"Not settled within {seconds:g} s. `gatepost deliveries show {login_id}` tells more.")
    except cli.Refused as refused:
        cli.fail(f"The login is under way, but its timeline may not be read: {refused}")
    found = probing.timeline_of(who, login_id) or {"deliveries": []}
    code, text = probing.verdict(found, allow_fallback, probing.sms_is_on(who, found))
    out.print(text, style="red" if code else "green", highlight=False, soft_wrap=True)
    return code


def _finish(where: cli.Saved, login: str, watch: "_Watch") -> None:
    code = typer.prompt("Code", err=True)
    answer = cli.call_as(where, "gateway", "POST", f"/v1/logins/{login}/verify", {"code": code})
    watch.tell("the code was right: signed in")
    _sign_out(where, answer["token"])
    watch.tell("signed out again")


def _sign_out(where: cli.Saved, token: str) -> None:
    own = cli.Saved(where.gateway, where.delivery, where.session_store, f"Bearer {token}")
    cli.call_as(own, "session_store", "POST", "/v1/revoke", form={"token": token})


class _Watch:
    """One origin for all times: when the command began its sign-in."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def tell(self, text: str) -> float:
        """Gives the milliseconds that it told."""
        ms = (time.monotonic() - self._start) * 1000
        typer.echo(f"{ms:7.0f} ms  {text}")
        return ms
