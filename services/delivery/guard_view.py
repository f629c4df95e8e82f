"""What operators see of the guard: the day's figures, blocks of numbers and where they stand, an account's settings."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from services.delivery import guard
from services.delivery.gate import shown_info
from services.delivery.guard import Figures, Own, Rules
from services.platform.keys.contacts import Contacts
from services.platform.keys.keyring import SealBroken, UnknownKey

Standing = Literal["open", "stopped", "would-stop", "lifted"]

BLANKS: Final = re.compile(r"[\s().\-•…]+")
BEGINNING: Final = re.compile(r"\+[1-9][0-9]{1,14}")
UNREADABLE: Final = "(its key is not here)"


class GuardQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    account: UUID | None = None
    days: Annotated[int, Meta(ge=1, le=35)] = 1


class Allowed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`prefix` as the list shows it, or its digits with the plus sign. 0 hours end it."""

    prefix: Annotated[str, Meta(min_length=3, max_length=40)]
    hours: Annotated[int, Meta(ge=0, le=720)] = 24


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that begin alike. `conversion` None: nothing was sent lately. `lifted_until`: its own end or that of
    the block around it, whichever lets it through.
    """

    account: UUID
    prefix: str
    country: str | None
    sends: int
    verified: int
    conversion: float | None
    stopped: int
    standing: Standing
    lifted_until: datetime | None


def blocks(rows: Sequence[Mapping[str, Any]], contacts: Contacts, rules: Callable[[UUID], Rules]) -> list[Block]:
    """`rows` have the columns of `guard_prefixes`, both windows added up, and `lifted`. A block of a thousand is let
    through by the ten thousand around it, too.
    """
    named = [(row, _opened(row, contacts)) for row in rows]
    until = {(row["account"], beginning(text)): row["lifted_until"] for row, text in named if row["lifted"]}
    found = []
    for row, text in named:
        around = until.get((row["account"], (beginning(text) or "")[:-1]))
        found.append(_block(row, text, row["lifted_until"] if row["lifted"] else around, rules(row["account"])))
    return found


def _block(row: Mapping[str, Any], text: str, lifted_until: datetime | None, rules: Rules) -> Block:
    sends, verified = row["sends"], row["verified"]
    return Block(
        account=row["account"],
        prefix=text,
        country=row["country"],
        sends=sends,
        verified=verified,
        conversion=round(verified / sends, 3) if sends else None,
        stopped=row["stopped"],
        standing=standing(Figures(sends, verified, lifted_until is not None), rules),
        lifted_until=lifted_until,
    )


def standing(figures: Figures, rules: Rules) -> Standing:
    if figures.lifted:
        return "lifted"
    if not guard.does_not_convert(figures, rules):
        return "open"
    return "would-stop" if rules.mode == "monitor" else "stopped"


def settings_of(own: Own, rules: Rules) -> dict[str, Any]:
    """What an account has of its own, and what holds for it."""
    return {
        "own": own,
        "in_force": {
            "mode": rules.mode,
            "countries": sorted(rules.countries) if rules.countries is not None else None,
            "number_types": sorted(rules.number_types),
            "minimum": rules.minimum,
            "conversion": rules.conversion,
            "daily_budget": _number(rules.daily_budget),
            "installation_budget": _number(rules.installation_budget),
            "fallback": rules.fallback,
        },
    }


def beginning(text: str) -> str | None:
    """The digits of a prefix as somebody wrote it, with the plus sign; None when it is none."""
    plain = BLANKS.sub("", text)
    return plain if BEGINNING.fullmatch(plain) else None


def countries_in(texts: Sequence[str]) -> list[str]:
    return sorted({part.strip().upper() for text in texts for part in text.split(",") if part.strip()})


def _opened(row: Mapping[str, Any], contacts: Contacts) -> str:
    try:
        return contacts.open(row["shown"], shown_info(row["account"], row["prefix"])).decode()
    except (SealBroken, UnknownKey):
        return UNREADABLE


def _number(amount: Any) -> float | None:
    return None if amount is None else float(amount)
