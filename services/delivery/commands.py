"""`gatepost deliveries`, `replays`, `dead-letters`, `providers`."""

from typing import Annotated, Any, Final

import typer

from services.delivery.commands_wordings import wordings
from services.delivery.states import State
from services.platform.cli import account_id, call, part, show

SERVICE: Final = "delivery"
COLUMNS: Final = ["created_at", "login_id", "channel", "cause", "state", "reason", "provider", "to", "tries"]
STEPS: Final = ["at", "what", "channel", "cause", "provider", "reason", "ms"]
LETTERS: Final = ["at", "id", "topic", "partition", "offset", "reason", "service", "replayed_at"]

deliveries = typer.Typer(no_args_is_help=True, help="What became of codes: list, show, pause, resume.")
replays = typer.Typer(no_args_is_help=True, help="Send again what failed and can still be used.")
dead_letters = typer.Typer(no_args_is_help=True, help="Records that could not be used: list, replay.")
providers = typer.Typer(no_args_is_help=True, help="Who sends: list, set.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Account = Annotated[str | None, typer.Option(help="Name or id of an account; without it all that you may see.")]
StateOption = Annotated[State | None, typer.Option(help="Where the delivery stands.")]
Reason = Annotated[str | None, typer.Option(help="As the list shows it, like no-receipt.")]
Provider = Annotated[str | None, typer.Option(help="twilio or smtp.")]
Since = Annotated[str | None, typer.Option(help="RFC 3339, like 2026-03-01T12:00:00Z.")]
Until = Annotated[str | None, typer.Option(help="RFC 3339; before this instant.")]


@deliveries.command("list")
def list_deliveries(
    account: Account = None,
    state: StateOption = None,
    reason: Reason = None,
    provider: Provider = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: Json = False,
) -> None:
    """Deliveries, newest first."""
    asked = {"account": account_id(account), "state": state, "reason": reason, "provider": provider, "since": since}
    found = call(SERVICE, "GET", "/v1/deliveries", limit=limit, **asked)
    show(found if as_json else found["deliveries"], as_json, COLUMNS)


@deliveries.command("show")
def show_login(login_id: str, as_json: Json = False) -> None:
    """One login's timeline, from the first byte to the last."""
    found = call(SERVICE, "GET", f"/v1/timelines/{part(login_id)}")
    if as_json:
        return show(found, as_json)
    show({name: found[name] for name in ("login_id", "account", "user", "closed", "expires_at")}, as_json)
    show(found["deliveries"], as_json, COLUMNS)
    return show(found["steps"], as_json, STEPS)


@deliveries.command("pause")
def pause(
    account: Account = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Keep codes back, of one account or of all; they wait in the ledger."""
    if account is None and not yes:
        typer.confirm(
            "No code of ANY account that you may pause goes out until you resume. Go on?", abort=True, err=True
        )
    show(call(SERVICE, "POST", "/v1/deliveries/pause", _without_none(account=account_id(account))), as_json)


@deliveries.command("resume")
def resume(account: Account = None, as_json: Json = False) -> None:
    """Send what waited, as far as its codes still live."""
    show(call(SERVICE, "POST", "/v1/deliveries/resume", _without_none(account=account_id(account))), as_json)


@replays.command("create")
def create_replay(  # noqa: PLR0913, PLR0917 - one option a filter
    account: Account = None,
    state: StateOption = None,
    reason: Reason = None,
    provider: Provider = None,
    since: Since = None,
    until: Until = None,
    login_id: Annotated[str | None, typer.Option(help="Only this login.")] = None,
    replay_id: Annotated[str | None, typer.Option(help="Names the replay: the same one again does nothing.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Only count.")] = False,
    as_json: Json = False,
) -> None:
    """Send again what did not arrive. Logins that expired or were used are skipped, and counted."""
    where = _without_none(account=account_id(account), state=state, reason=reason, provider=provider, login_id=login_id)
    when = _without_none(since=since, until=until, replay_id=replay_id)
    show(call(SERVICE, "POST", "/v1/replays", {**where, **when, "dry_run": dry_run}), as_json)


@replays.command("show")
def show_replay(replay_id: str, account: Account = None, as_json: Json = False) -> None:
    """What a replay did."""
    show(call(SERVICE, "GET", f"/v1/replays/{part(replay_id)}", account=account), as_json)


@dead_letters.command("list")
def list_letters(as_json: Json = False) -> None:
    """Where they came from and why; their bytes stay sealed."""
    found = call(SERVICE, "GET", "/v1/dead-letters")
    show(found if as_json else found["dead_letters"], as_json, LETTERS)


@dead_letters.command("replay")
def replay_letter(letter_id: str, as_json: Json = False) -> None:
    """Take a record again once its cause is mended."""
    show(call(SERVICE, "POST", f"/v1/dead-letters/{part(letter_id)}/replay"), as_json)


@providers.command("list")
def list_providers(as_json: Json = False) -> None:
    found = call(SERVICE, "GET", "/v1/providers")
    show(found if as_json else found["providers"], as_json, ["name", "channel", "enabled", "weight", "position"])


@providers.command("set")
def set_provider(
    name: str,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled")] = None,
    position: Annotated[int | None, typer.Option(min=0, max=1000, help="The lowest is asked first.")] = None,
    as_json: Json = False,
) -> None:
    """Switch a provider on or off, or change its place."""
    show(
        call(SERVICE, "PATCH", f"/v1/providers/{part(name)}", _without_none(enabled=enabled, position=position)),
        as_json,
    )


def _without_none(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


GROUPS: Final = {
    "deliveries": deliveries,
    "replays": replays,
    "dead-letters": dead_letters,
    "providers": providers,
    "wordings": wordings,
}
