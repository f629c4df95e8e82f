"""`gatepost deliveries`: what became of messages; keeping them back."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final, get_args
from uuid import UUID

import typer

from services.delivery.commands_options import (
    Account,
    ChannelOption,
    Country,
    EmailOff,
    Json,
    Provider,
    Reason,
    Since,
    StateOption,
    Unreached,
    Until,
    Webhooks,
    Yes,
    without_none,
)
from services.delivery.states import CauseKind
from services.platform.cli import account_id, call, fail, part, show

SERVICE: Final = "delivery"
COLUMNS: Final = ["created_at", "login_id", "channel", "cause", "state", "reason", "provider", "to", "tries"]
PAGE: Final = 200

deliveries = typer.Typer(no_args_is_help=True, help="What became of codes: list, show, pause, resume, pauses.")


def _cause(given: str | None) -> str | None:
    if given is not None and given not in get_args(CauseKind):
        raise typer.BadParameter(f"one of {', '.join(get_args(CauseKind))}")
    return given


@deliveries.command("list")
def list_deliveries(  # noqa: PLR0913, PLR0917 - one option a filter
    account: Account = None,
    user: Annotated[UUID | None, typer.Option(help="Id of a user; `gatepost users show` tells it.")] = None,
    login: Annotated[UUID | None, typer.Option("--login", "--login-id", help="Only this login.")] = None,
    state: StateOption = None,
    reason: Reason = None,
    provider: Provider = None,
    channel: ChannelOption = None,
    country: Country = None,
    cause: Annotated[
        str | None, typer.Option(callback=_cause, help=f"Why it was sent: {', '.join(get_args(CauseKind))}.")
    ] = None,
    since: Since = None,
    until: Until = None,
    email_off: EmailOff = False,
    replay: Annotated[str | None, typer.Option(help="Only what that replay sent; *:ID if it was over all.")] = None,
    unreached: Unreached = False,
    limit: Annotated[int, typer.Option(min=1, max=PAGE)] = 50,
    every: Annotated[bool, typer.Option("--all", help="All that match; with --json one object a line.")] = False,
    as_json: Json = False,
) -> None:
    """Deliveries, newest first."""
    asked: dict[str, Any] = {"account": account_id(account), "user": user, "login_id": login, "state": state}
    asked |= {"reason": reason, "provider": provider, "channel": channel, "country": country, "cause": cause}
    asked |= {"since": since, "until": until, "replay": replay, "email_off": "true" if email_off else None}
    asked |= {"unreached": "true" if unreached else None}
    if every:
        return _list_all(asked, as_json)
    found, more = _first(asked, limit)
    if as_json:
        return show({"deliveries": found, "next": more}, as_json)
    show(found, as_json, COLUMNS)
    if not found:
        typer.echo("Nothing matches. Without filters the list shows what there is.", err=True)
    elif more is not None:
        typer.echo(f"The newest {len(found)}; --all shows all of them.", err=True)
    return None


def _page(asked: dict[str, Any], limit: int, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
    found = call(SERVICE, "GET", "/v1/deliveries", limit=limit, cursor=cursor, **asked)
    return found["deliveries"], found["next"]


def _first(asked: dict[str, Any], limit: int) -> tuple[list[dict[str, Any]], str | None]:
    """A page may be short: what is rare is looked for further back."""
    found, more = _page(asked, limit, None)
    if len(found) < limit and more is not None:
        typer.echo("looking further back …", err=True)
    while len(found) < limit and more is not None:
        page, more = _page(asked, limit - len(found), more)
        found += page
    return found, more


def _pages(asked: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    found, more = _page(asked, PAGE, None)
    yield found
    while more is not None:
        found, more = _page(asked, PAGE, more)
        yield found


def _list_all(asked: dict[str, Any], as_json: bool) -> None:
    count = 0
    for page in _pages(asked):
        count += len(page)
        if as_json:
            for row in page:
                typer.echo(json.dumps(row, ensure_ascii=False))
        elif page:
            show(page, as_json, COLUMNS)
    if not as_json:
        typer.echo(f"{count} deliveries", err=True)


@deliveries.command("show")
def show_login(login_id: str, webhooks: Webhooks = None, as_json: Json = False) -> None:
    """One login's timeline: every attempt, what the provider said, what to do next."""
    if login_id.startswith("lg_"):
        fail(
            "That is the handle of a login, which only its client needs. `login_id` stands beside it in every answer.",
            2,
        )
    found = call(SERVICE, "GET", f"/v1/timelines/{part(login_id)}")
    if as_json:
        return show(found, as_json)
    from rich.console import Console

    from services.delivery.channels.webhooks import judging
    from services.delivery.terminal.timeline import picture

    drawn, out = picture(found, judging.load(webhooks, local=True)), Console()
    return out.print(drawn) if out.is_terminal else Console(width=200).print(drawn)


@deliveries.command("pause")
def pause(
    account: Account = None,
    channel: ChannelOption = None,
    country: Country = None,
    provider: Provider = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Keep codes back: of an account, a channel, a country, a provider, of all; they wait in the ledger."""
    where = _where(account, channel, country, provider)
    if not where and not yes:
        typer.confirm(
            "No code of ANY account that you may pause goes out until you resume. Go on?", abort=True, err=True
        )
    _show_pauses(call(SERVICE, "POST", "/v1/deliveries/pause", where), as_json)


@deliveries.command("resume")
def resume(
    account: Account = None,
    channel: ChannelOption = None,
    country: Country = None,
    provider: Provider = None,
    as_json: Json = False,
) -> None:
    """End exactly that pause, and send what waited as far as its codes still live; shows what is still paused."""
    where = _where(account, channel, country, provider)
    found = call(SERVICE, "POST", "/v1/deliveries/resume", where)
    if not as_json:
        typer.echo("1 pause ended; in force:" if found["ended"] else "There is no such pause; in force:", err=True)
    _show_pauses(found, as_json)
    if not found["ended"]:
        raise typer.Exit(1)


@deliveries.command("pauses")
def pauses(as_json: Json = False) -> None:
    """What is kept back now; * is any."""
    _show_pauses(call(SERVICE, "GET", "/v1/deliveries/pauses"), as_json)


def _show_pauses(found: Any, as_json: bool) -> None:
    show(found if as_json else found["paused"], as_json, ["account", "channel", "country", "provider"])


def _where(account: str | None, channel: str | None, country: str | None, provider: str | None) -> dict[str, Any]:
    return without_none(account=account_id(account), channel=channel, country=country, provider=provider)
