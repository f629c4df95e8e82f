"""`gatepost guard`: SMS pumping, seen and steered."""

from typing import Annotated, Any, Final

import typer

from services.delivery.commands_options import Account, Json, without_none
from services.platform.cli import account_id, call, part, show

SERVICE: Final = "delivery"
BLOCKS: Final = ["prefix", "account", "country", "sends", "verified", "conversion", "stopped", "standing"]
FIGURES: Final = ["account", "country", "provider", "sends", "verified", "conversion", "cost"]
UNLIMITED: Final = {"countries": "all", "number_types": "none", "daily_budget": "none", "installation_budget": "none"}
STOPS: Final = ["account", "country", "reason", "stopped"]

guard = typer.Typer(no_args_is_help=True, help="SMS pumping: what is sent, verified, spent and stopped.")

Whose = Annotated[str, typer.Argument(help="Name or id of an account.")]


@guard.command("show")
def show_guard(
    account: Account = None,
    days: Annotated[int, typer.Option(min=1, max=35, help="Of the figures, today (UTC) included.")] = 1,
    as_json: Json = False,
) -> None:
    """Figures by provider and country, what was stopped and why, blocks of numbers that begin alike."""
    found = call(SERVICE, "GET", "/v1/guard", account=account_id(account), days=days)
    if as_json:
        return show(found, as_json)
    settings = found["settings"]
    mode = settings["mode"] if settings["mode"] == "enforce" else f"{settings['mode']} (nothing is stopped)"
    typer.echo(f"{mode}: from {settings['minimum']} SMS on, {settings['conversion']:.0%} have to come back\n")
    for title, rows, columns in (
        ("sent", found["figures"], FIGURES),
        ("stopped", found["stops"], STOPS),
        ("spent today", found["spent"], ["account", "spent"]),
        ("numbers that begin alike", found["prefixes"], BLOCKS),
    ):
        typer.echo(f"{title}: nothing" if not rows else f"{title}:")
        if rows:
            show(rows, as_json, columns)
    return None


@guard.command("settings")
def show_settings(account: Whose, as_json: Json = False) -> None:
    """What an account has of its own, and what holds for it."""
    _show_settings(call(SERVICE, "GET", _path(account)), as_json)


@guard.command("set")
def set_settings(
    account: Whose,
    mode: Annotated[str | None, typer.Option(help="enforce, or monitor: stops nothing, reports.")] = None,
    countries: Annotated[list[str] | None, typer.Option("--country", help="The only ones that get SMS: GB,IE.")] = None,
    minimum: Annotated[int | None, typer.Option(help="SMS to neighbours before they are judged.")] = None,
    conversion: Annotated[float | None, typer.Option(help="The part of codes that has to come back: 0.1.")] = None,
    daily_budget: Annotated[float | None, typer.Option(help="Money where prices are set, else SMS.")] = None,
    fallback: Annotated[str | None, typer.Option(help="For users with e-mail off: email or refuse.")] = None,
    as_json: Json = False,
) -> None:
    """Change what is given; the rest stays. Every worker follows within two seconds."""
    from services.delivery.guard_view import countries_in

    wanted = without_none(
        mode=mode,
        countries=countries_in(countries) if countries else None,
        minimum=minimum,
        conversion=conversion,
        daily_budget=daily_budget,
        fallback=fallback,
    )
    path = _path(account)
    own: dict[str, Any] = call(SERVICE, "GET", path)["own"]
    _show_settings(call(SERVICE, "PUT", path, own | wanted), as_json)


@guard.command("reset")
def reset(account: Whose, as_json: Json = False) -> None:
    """Go back to the installation's settings."""
    _show_settings(call(SERVICE, "DELETE", _path(account)), as_json)


@guard.command("allow")
def allow(
    prefix: Annotated[
        str, typer.Argument(help="As `gatepost guard show` shows it, or its digits: +44791112, +447911123.")
    ],
    account: Annotated[str, typer.Option(help="Name or id of the account whose numbers they are.")],
    hours: Annotated[int, typer.Option(min=0, max=720, help="How long; 0 ends it.")] = 24,
    as_json: Json = False,
) -> None:
    """Let a block of a thousand or of ten thousand numbers through, and all blocks within it, whatever comes back."""
    found = call(SERVICE, "POST", f"{_path(account)}/allow", {"prefix": prefix, "hours": hours})
    if not found["known"] and not as_json:
        unsent = "Nothing was sent yet to numbers that begin so."
        typer.echo(unsent if hours else "Numbers that begin so were not let through.")
    show(found, as_json)


def _show_settings(found: dict[str, Any], as_json: bool) -> None:
    """What is not limited is a word, not a blank."""
    if not as_json:
        in_force = {
            name: UNLIMITED[name] if name in UNLIMITED and value in (None, []) else value
            for name, value in found["in_force"].items()
        }
        found = found | {"own": found["own"] or "nothing", "in_force": in_force}
    show(found, as_json)


def _path(account: str) -> str:
    return f"/v1/guard/{part(str(account_id(account)))}"
