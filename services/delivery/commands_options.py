"""The options that delivery's commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from services.delivery.states import State

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Account = Annotated[str | None, typer.Option(help="Name or id of an account; without it all that you may see.")]
StateOption = Annotated[State | None, typer.Option(help="Where the delivery stands.")]
Reason = Annotated[str | None, typer.Option(help="As the list shows it, like no-receipt.")]
Provider = Annotated[str | None, typer.Option(help="As `gatepost providers list` names it.")]
Country = Annotated[str | None, typer.Option(help="Of the phone number, ISO 3166-1, like GB.")]
ChannelOption = Annotated[str | None, typer.Option("--channel", help="sms or email.")]
EmailOff = Annotated[bool, typer.Option("--email-off", help="Only e-mails that went to users with e-mail off.")]
Webhooks = Annotated[
    Path | None, typer.Option(envvar="GATEPOST_WEBHOOKS", help="What the webhooks in this folder say of theirs too.")
]
Since = Annotated[str | None, typer.Option(help="RFC 3339, like 2026-03-01T12:00:00Z.")]
Until = Annotated[str | None, typer.Option(help="RFC 3339; before this instant.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def without_none(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
