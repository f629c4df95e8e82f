"""`gatepost replays`: create, list, show, watch, stop."""

from typing import Annotated, Any, Final

import typer

from services.delivery.commands_options import (
    Account,
    ChannelOption,
    Json,
    Provider,
    Reason,
    Since,
    StateOption,
    Until,
    Yes,
    without_none,
)
from services.delivery.commands_progress import (
    FEW,
    follow,
    print_counts,
    print_end,
    print_was_over,
    to_go_on,
    told,
    was_over,
)
from services.platform.cli import Away, Refused, account_id, answer_to, call, fail, part, saved, show
from services.platform.clock import new_id
from services.platform.plurals import plural

SERVICE: Final = "delivery"
COLUMNS: Final = ["at", "replay_id", "account", "by", "state", "matched", "replayed", "filter"]

replays = typer.Typer(no_args_is_help=True, help="Send again what failed and can still be used.")

PerSecond = Annotated[
    float | None, typer.Option(min=0.1, help="Messages a second, whatever the number of workers.", show_default=False)
]
Named = Annotated[
    str | None, typer.Option(help="Names the replay: the same one again goes on, and sends nothing twice.")
]


@replays.command("create")
def create(  # noqa: PLR0913, PLR0917 - one option a filter
    account: Account = None,
    state: StateOption = None,
    reason: Reason = None,
    provider: Provider = None,
    channel: ChannelOption = None,
    since: Since = None,
    until: Until = None,
    login_id: Annotated[str | None, typer.Option(help="Only this login.")] = None,
    replay_id: Named = None,
    per_second: PerSecond = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: Yes = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    as_json: Json = False,
) -> None:
    """Send again what did not arrive: counts, asks, shows the progress. Codes that expired or were used are skipped."""
    where = without_none(account=account_id(account), state=state, reason=reason, provider=provider, channel=channel)
    asked = where | without_none(since=since, until=until, login_id=login_id, per_second=per_second)
    if dry_run:
        return _show_counted(_counted(asked), as_json)
    if not yes and not _is_known(replay_id, asked.get("account")):
        _confirm(_counted(asked), as_json)
    made = _made(asked | {"replay_id": replay_id or str(new_id())})
    if not made["matched"]:
        return _nothing(made, as_json)
    if detach:
        return _detached(made, as_json)
    return _watch(made, as_json)


def _counted(asked: dict[str, Any]) -> Any:
    return call(SERVICE, "POST", "/v1/replays", asked | {"dry_run": True})


def _show_counted(counted: Any, as_json: bool) -> None:
    if as_json:
        return show(counted, as_json)
    if not counted["matched"]:
        return typer.echo(_why_nothing(counted))
    return print_counts(counted)


def _is_known(replay_id: str | None, account: str | None) -> bool:
    """A replay that goes on was counted and asked for before."""
    if replay_id is None:
        return False
    try:
        answer_to(saved(), SERVICE, "GET", f"/v1/replays/{part(replay_id)}", query={"account": account})
    except Refused:
        return False
    return True


def _confirm(counted: Any, as_json: bool) -> None:
    """Asked on standard error, so that standard output stays what it is."""
    if not counted["matched"]:
        return _nothing(counted, as_json)
    print_counts(counted, err=True)
    many = counted["counts"]["replayed"]
    if not many:
        return None
    about = f"At {counted['per_second']:g} a second that takes about {told(many / counted['per_second'])}."
    typer.confirm(f"{about} Send {plural(many, 'message')} again?", abort=True, err=True)
    return None


def _made(asked: dict[str, Any]) -> Any:
    try:
        return answer_to(saved(), SERVICE, "POST", "/v1/replays", asked)
    except Away as away:
        again = to_go_on(asked, asked["replay_id"])
        fail(f"{away}\nThis goes on where it stands, and sends nothing twice: {again}")
    except Refused as refused:
        if refused.name != "replay-running":
            fail(str(refused))
        running = refused.more.get("replay_id", "ID")
        fail(f"{refused}\nTo see it: gatepost replays watch {running}. To end it: gatepost replays stop {running}.")


def _nothing(counted: Any, as_json: bool) -> None:
    """A filter that matches nothing is rarely what was meant: exit code 1."""
    if as_json:
        show(counted, as_json)
    fail(_why_nothing(counted))


def _why_nothing(counted: Any) -> str:
    near = counted.get("without") or {}
    many = {name: f"{count}{'+' if count >= FEW else ''}" for name, count in near.items()}
    hints = [f"Without --{name.replace('_', '-')} it would be {count}." for name, count in many.items()]
    return " ".join(["Nothing that did not arrive matches.", *(hints or ["See `gatepost deliveries list`."])])


def _detached(made: Any, as_json: bool) -> None:
    if as_json:
        return show(made, as_json)
    typer.echo(f"replay {made['replay_id']} runs.")
    typer.echo(f"To see it: gatepost replays watch {made['replay_id']}")
    return None


def _watch(made: Any, as_json: bool) -> None:
    if was_over(made):
        return show(made, as_json) if as_json else print_was_over(made)
    ended = follow(made)
    if as_json:
        show(ended, as_json)
    else:
        print_end(ended, made["counts"]["replayed"] if made["repeated"] else None)
    if ended["state"] == "stopped":
        _tell_how_to_go_on(ended)
        raise typer.Exit(1)
    return None


def _tell_how_to_go_on(stopped: Any) -> None:
    if stopped["state"] == "stopped":
        typer.echo(f"To go on where it stands: {to_go_on(stopped['filter'], stopped['replay_id'])}", err=True)


@replays.command("list")
def list_replays(
    account: Account = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: Json = False,
) -> None:
    """Replays, newest first."""
    found = call(SERVICE, "GET", "/v1/replays", account=account_id(account), limit=limit)
    rows = [one | {"replayed": one["counts"].get("replayed")} for one in found["replays"]]
    show(found if as_json else rows, as_json, COLUMNS)


@replays.command("show")
def show_replay(replay_id: str, account: Account = None, as_json: Json = False) -> None:
    """How far a replay is, and what it did."""
    show(_found(replay_id, account), as_json)


@replays.command("watch")
def watch(replay_id: str, account: Account = None, as_json: Json = False) -> None:
    """Follow a replay to its end. Ctrl-C ends only the watching."""
    _watch(_found(replay_id, account), as_json)


@replays.command("stop")
def stop(replay_id: str, account: Account = None, as_json: Json = False) -> None:
    """Send nothing more. What is queued already goes out; creating it again with its id goes on."""
    stopped = call(SERVICE, "POST", f"/v1/replays/{part(replay_id)}/stop", account=account_id(account))
    if as_json:
        show(stopped, as_json)
    else:
        print_end(stopped)
    _tell_how_to_go_on(stopped)


def _found(replay_id: str, account: str | None) -> Any:
    return call(SERVICE, "GET", f"/v1/replays/{part(replay_id)}", account=account_id(account))
