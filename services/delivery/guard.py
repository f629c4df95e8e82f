"""Whether an SMS goes out at all: pure rules against pumping, where codes are sent to numbers that earn money by it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from services.delivery.states import Reason

Mode = Literal["enforce", "monitor"]
Fallback = Literal["email", "refuse"]
Action = Literal["allow", "email", "refuse"]
Country = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$")]
Prices = Mapping[str, Mapping[str, Decimal]]

ANY: Final = "*"
UNPRICED: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for one account. `countries` None: every country; a budget None: none. A budget is money where prices
    are set, else a number of SMS.
    """

    mode: Mode = "enforce"
    countries: frozenset[str] | None = None
    number_types: frozenset[str] = frozenset()
    minimum: int = 20
    conversion: float = 0.1
    daily_budget: Decimal | None = None
    installation_budget: Decimal | None = None
    fallback: Fallback = "email"


class Own(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an account has instead of the installation's; None: as the installation."""

    mode: Mode | None = None
    countries: Annotated[list[Country], msgspec.Meta(min_length=1, max_length=300)] | None = None
    minimum: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    conversion: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    daily_budget: Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)] | None = None
    fallback: Fallback | None = None


class Figures(NamedTuple):
    """What is known of the numbers that begin alike, before this SMS. `lifted`: an operator lets them through."""

    sends: int
    verified: int
    lifted: bool = False


class Budget(NamedTuple):
    """What was spent today, before this SMS, and what may be."""

    spent: Decimal
    most: Decimal


class Verdict(NamedTuple):
    """`reason` with `allow`: the guard only watches, and would have stopped it."""

    action: Action
    reason: Reason | None = None


def rules_of(common: Rules, own: Own | None) -> Rules:
    if own is None:
        return common
    changed = {name: value for name in own.__struct_fields__ if (value := getattr(own, name)) is not None}
    if own.countries is not None:
        changed["countries"] = frozenset(own.countries)
    if own.daily_budget is not None:
        changed["daily_budget"] = Decimal(str(own.daily_budget))
    return replace(common, **changed)


def wrong_number(country: str | None, number_type: str, rules: Rules) -> Reason | None:
    """What can be said of a number without having counted anything."""
    if number_type in rules.number_types:
        return Reason.GUARD_NUMBER_TYPE
    if rules.countries is not None and country not in rules.countries:
        return Reason.GUARD_COUNTRY
    return None


def judged(
    prefixes: Iterable[Figures], proven: bool, budgets: Iterable[Budget], cost: Decimal, rules: Rules
) -> Reason | None:
    """What the counters say. A number that was proven lately is judged by itself, not by its neighbours; one that an
    operator lets through by either of its blocks is not judged by the other.
    """
    if any(budget.spent + cost > budget.most for budget in budgets):
        return Reason.GUARD_BUDGET
    blocks = list(prefixes)
    if proven or any(figures.lifted for figures in blocks):
        return None
    return Reason.GUARD_CONVERSION if any(does_not_convert(figures, rules) for figures in blocks) else None


def does_not_convert(figures: Figures, rules: Rules) -> bool:
    """Enough was sent to judge by, and too few of the codes came back."""
    return figures.sends >= rules.minimum and figures.verified < rules.conversion * figures.sends


def verdict(reason: Reason | None, rules: Rules, email_off: bool) -> Verdict:
    """A stop leads to the mailbox, as any failure does; for those who have e-mail off their account may refuse it."""
    if reason is None or rules.mode == "monitor":
        return Verdict("allow", reason)
    return Verdict(rules.fallback if email_off else "email", reason)


def dearest(prices: Prices, country: str | None) -> Decimal:
    """What an SMS costs at most, whichever provider takes it in the end: budgets count that, and give that back."""
    return max((price(prices, provider, country) for provider in prices), default=UNPRICED)


def price(prices: Prices, provider: str, country: str | None) -> Decimal:
    """Of one SMS. Without any prices each costs 1; one that none is given for costs as much as the dearest."""
    if not prices:
        return UNPRICED
    for of_provider in (prices.get(provider, {}), prices.get(ANY, {})):
        for where in (country or ANY, ANY):
            if where in of_provider:
                return of_provider[where]
    return max(max(of_provider.values(), default=UNPRICED) for of_provider in prices.values())
