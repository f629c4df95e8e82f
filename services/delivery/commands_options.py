"""The options that delivery's commands share."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.delivery.states import State

AGO: Final = re.compile(r"(\d{1,6})([smhd])")
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def instant(given: str | None) -> str | None:
    """RFC 3339 of what may be said as how long ago."""
    if given is None or not (found := AGO.fullmatch(given)):
        return given
    then = datetime.now(UTC) - timedelta(**{UNITS[found[2]]: int(found[1])})
    return then.isoformat(timespec="seconds").replace("+00:00", "Z")


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Account = Annotated[str | None, typer.Option(help="Name or id of an account; without it all that you may see.")]
StateOption = Annotated[State | None, typer.Option(help="Where the delivery stands.")]
Reason = Annotated[str | None, typer.Option(help="As the list shows it, like no-receipt; - is none.")]
Provider = Annotated[str | None, typer.Option(help="As `gatepost providers list` names it; - is none.")]
Country = Annotated[str | None, typer.Option(help="Of the phone number, ISO 3166-1, like GB.")]
ChannelOption = Annotated[str | None, typer.Option("--channel", help="sms or email.")]
EmailOff = Annotated[bool, typer.Option("--email-off", help="Only e-mails that went to users with e-mail off.")]
Unreached = Annotated[
    bool, typer.Option("--unreached", help="Only of logins that no code reached and nobody verified.")
]
Webhooks = Annotated[
    Path | None, typer.Option(envvar="GATEPOST_WEBHOOKS", help="What the webhooks in this folder say of theirs too.")
]
Since = Annotated[
    str | None, typer.Option(callback=instant, help="How long ago, like 10m, 2h, 3d; or like 2026-03-01T12:00:00Z.")
]
Until = Annotated[str | None, typer.Option(callback=instant, help="The same; before this instant.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def without_none(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
