"""`gatepost providers`; and where the other groups and commands stand."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.delivery.commands_deliveries import deliveries
from services.delivery.commands_doctor import doctor
from services.delivery.commands_guard import guard
from services.delivery.commands_letters import dead_letters
from services.delivery.commands_options import (
    Country,
    Json,
    Provider,
    Webhooks,
    without_none,
)
from services.delivery.commands_probe import probe
from services.delivery.commands_replays import replays
from services.delivery.commands_watch import watch
from services.delivery.commands_wordings import wordings
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
WEBHOOKS: Final = ["name", "channel", "receipts"]

providers = typer.Typer(no_args_is_help=True, help="Who sends: list, set, routes, route; what their errors mean.")

LocalAddresses = Annotated[
    bool,
    typer.Option(
        "--local", help="Plain HTTP, loopback and private addresses will do, as where nobody reaches delivery."
    ),
]
WebhookFolder = Annotated[Path, typer.Argument(help="What GATEPOST_WEBHOOKS is to be.")]


@providers.command("list")
def list_providers(as_json: Json = False) -> None:
    found = call(SERVICE, "GET", "/v1/providers")
    show(found if as_json else [_told(row) for row in found["providers"]], as_json, PROVIDERS)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return row if row["configured"] else row | {"breaker": "not configured"}


@providers.command("errors")
def list_errors(provider: Provider = None, webhooks: Webhooks = None, as_json: Json = False) -> None:
    """What the codes of providers mean, and what to do."""
    from services.delivery.channels import catalogue
    from services.delivery.channels.webhooks import judging

    own = [row for row in catalogue.rows_of(judging.load(webhooks, local=True)) if provider in (None, row["provider"])]
    show([*catalogue.rows(provider), *own], as_json, ERRORS)


@providers.command("check")
def check_webhooks(folder: WebhookFolder, local: LocalAddresses = False, as_json: Json = False) -> None:
    """Judge webhooks as delivery does when it starts: every fault with file, line and what to do."""
    from services.delivery.channels.webhooks import judging

    found = judging.load(folder, local or "provider-loopback" in os.environ.get("GATEPOST_ALLOW_INSECURE", ""))
    rows = [
        {"name": one.name, "channel": one.source.webhook.channel, "receipts": one.source.receipts is not None}
        for one in found
    ]
    show(rows, as_json, WEBHOOKS)


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
    wanted: dict[str, Any] = without_none(enabled=enabled, position=position, weight=weight)
    limits = without_none(slots=slots, per_second=per_second)
    wanted |= {name: value or None for name, value in limits.items()}
    show(call(SERVICE, "PATCH", f"/v1/providers/{part(name)}", wanted), as_json)


@providers.command("routes")
def list_routes(as_json: Json = False) -> None:
    """Who sends for which account and country, where that differs from the providers' own places."""
    found = call(SERVICE, "GET", "/v1/routes")
    show(found if as_json else found["routes"], as_json, ["account", "country", "provider", "position", "weight"])


@providers.command("route")
def set_routes(
    places: Annotated[list[str] | None, typer.Argument(help="provider[:position[:weight]], like vonage:0:3.")] = None,
    account: Annotated[str | None, typer.Option(help="Name or id of an account; without it any.")] = None,
    country: Country = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the routes of that account and country away.")] = False,
    as_json: Json = False,
) -> None:
    """Set who sends for an account, a country, or both: these instead of what was set before."""
    if clear == bool(places):
        raise typer.BadParameter("Name who sends, like vonage:0 twilio:1; or --clear to take routes away.")
    wanted = {"account": account_id(account), "country": country, "providers": [_place(text) for text in places or []]}
    found = call(SERVICE, "PUT", "/v1/routes", without_none(**wanted))
    show(found if as_json else found["routes"], as_json, ["account", "country", "provider", "position", "weight"])


def _place(text: str) -> dict[str, Any]:
    """`provider[:position[:weight]]`"""
    provider, *numbers = text.split(":")
    if not provider or len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise typer.BadParameter(f"{text!r} is not provider[:position[:weight]], like vonage:0:3.")
    return {"provider": provider, **dict(zip(("position", "weight"), map(int, numbers), strict=False))}


GROUPS: Final = {
    "deliveries": deliveries,
    "replays": replays,
    "dead-letters": dead_letters,
    "providers": providers,
    "wordings": wordings,
    "guard": guard,
}
COMMANDS: Final = {"watch": watch, "doctor": doctor, "probe": probe}
