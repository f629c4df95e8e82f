"""`gatepost replays`, `dead-letters`, `providers`; and where the others are mounted."""

from typing import Annotated, Any, Final

import typer

from services.delivery.channels import catalogue
from services.delivery.commands_deliveries import deliveries
from services.delivery.commands_doctor import doctor
from services.delivery.commands_probe import probe
from services.delivery.commands_watch import watch
from services.delivery.commands_wordings import wordings
from services.delivery.states import State
from services.platform.cli import account_id, call, part, show

SERVICE: Final = "delivery"
PROVIDERS: Final = [
    "name",
    "channel",
    "enabled",
    "position",
    "weight",
    "slots",
    "per_second",
    "breaker",
    "under_way",
]
ERRORS: Final = ["provider", "code", "reason", "class", "means", "next"]
LETTERS: Final = ["at", "id", "topic", "partition", "offset", "reason", "service", "replayed_at"]

replays = typer.Typer(no_args_is_help=True, help="Send again what failed and can still be used.")
dead_letters = typer.Typer(no_args_is_help=True, help="Records that could not be used: list, replay.")
providers = typer.Typer(no_args_is_help=True, help="Who sends: list, set, routes, route; what their errors mean.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Account = Annotated[str | None, typer.Option(help="Name or id of an account; without it all that you may see.")]
StateOption = Annotated[State | None, typer.Option(help="Where the delivery stands.")]
Reason = Annotated[str | None, typer.Option(help="As the list shows it, like no-receipt.")]
Provider = Annotated[str | None, typer.Option(help="As `gatepost providers list` names it.")]
Country = Annotated[str | None, typer.Option(help="Of the phone number, ISO 3166-1, like GB.")]
Since = Annotated[str | None, typer.Option(help="RFC 3339, like 2026-03-01T12:00:00Z.")]
Until = Annotated[str | None, typer.Option(help="RFC 3339; before this instant.")]


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
    show(found if as_json else found["providers"], as_json, PROVIDERS)


@providers.command("errors")
def list_errors(provider: Provider = None, as_json: Json = False) -> None:
    """What the codes of providers mean, and what to do."""
    show(list(catalogue.rows(provider)), as_json, ERRORS)


@providers.command("set")
def set_provider(
    name: str,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled")] = None,
    position: Annotated[int | None, typer.Option(min=0, max=1000, help="The lowest is asked first.")] = None,
    weight: Annotated[int | None, typer.Option(min=0, max=1000, help="Its share among those of its position.")] = None,
    slots: Annotated[
        int | None, typer.Option(min=0, max=1024, help="Calls at once, each worker; 0: the usual.")
    ] = None,
    per_second: Annotated[float | None, typer.Option(min=0, help="Calls a second, each worker; 0: no limit.")] = None,
    as_json: Json = False,
) -> None:
    """Switch a provider on or off, change its place or its limits; in every worker within two seconds."""
    wanted: dict[str, Any] = _without_none(enabled=enabled, position=position, weight=weight)
    limits = _without_none(slots=slots, per_second=per_second)
    wanted |= {name: value or None for name, value in limits.items()}
    show(call(SERVICE, "PATCH", f"/v1/providers/{part(name)}", wanted), as_json)


@providers.command("routes")
def list_routes(as_json: Json = False) -> None:
    """Who sends for which account and country, where that differs from the providers' own places."""
    found = call(SERVICE, "GET", "/v1/routes")
    show(found if as_json else found["routes"], as_json, ["account", "country", "provider", "position", "weight"])


@providers.command("route")
def set_routes(
    places: Annotated[
        list[str] | None, typer.Argument(help="provider[:position[:weight]], like vonage:0:3; none: no routes.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Name or id of an account; without it any.")] = None,
    country: Country = None,
    as_json: Json = False,
) -> None:
    """Set who sends for an account, a country, or both: these instead of what was set before."""
    wanted = {"account": account_id(account), "country": country, "providers": [_place(text) for text in places or []]}
    found = call(SERVICE, "PUT", "/v1/routes", _without_none(**wanted))
    show(found if as_json else found["routes"], as_json, ["account", "country", "provider", "position", "weight"])


def _place(text: str) -> dict[str, Any]:
    """`provider[:position[:weight]]`"""
    provider, *numbers = text.split(":")
    if not provider or len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise typer.BadParameter(f"{text!r} is not provider[:position[:weight]], like vonage:0:3.")
    return {"provider": provider, **dict(zip(("position", "weight"), map(int, numbers), strict=False))}


def _without_none(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


GROUPS: Final = {
    "deliveries": deliveries,
    "replays": replays,
    "dead-letters": dead_letters,
    "providers": providers,
    "wordings": wordings,
}
COMMANDS: Final = {"watch": watch, "doctor": doctor, "probe": probe}
