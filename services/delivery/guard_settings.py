"""The installation's settings of the pumping guard."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from services.delivery.guard import Fallback, Mode, Rules
from services.delivery.prefixes import KINDS
from services.platform.settings import ServiceSettings

UNWANTED: Final = frozenset({"premium-rate", "shared-cost", "toll-free", "uan", "pager", "voicemail", "invalid"})


class GuardSettings(ServiceSettings):
    guard_mode: Mode = Field(default="enforce", description="`monitor` stops nothing and reports what it would")
    guard_countries: Annotated[frozenset[str], NoDecode] | None = Field(
        default=None, description="the only countries that get SMS, like GB,DE; without it all"
    )
    guard_number_types: Annotated[frozenset[str], NoDecode] = Field(
        default=UNWANTED, description="kinds of numbers that get no SMS"
    )
    guard_minimum: int = Field(default=20, ge=1, le=1_000_000, description="SMS to neighbours before they are judged")
    guard_conversion: float = Field(default=0.1, ge=0, le=1, description="the part of codes that has to come back")
    guard_window_hours: int = Field(default=24, ge=1, le=720)
    guard_daily_budget: Decimal | None = Field(default=None, ge=0, description="of each account; money, or SMS")
    guard_installation_budget: Decimal | None = Field(default=None, ge=0, description="of all accounts together")
    guard_prices: dict[str, dict[str, Decimal]] = Field(
        default={}, description='of an SMS, by provider and country: {"twilio": {"GB": 0.04, "*": 0.08}}'
    )
    guard_fallback: Fallback = Field(
        default="email", description="for users with e-mail off whose SMS is stopped: `email` or `refuse`"
    )

    @field_validator("guard_countries", "guard_number_types", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _guard(self) -> Self:
        if unknown := self.guard_number_types - set(KINDS.values()):
            known = ", ".join(sorted(KINDS.values()))
            raise ValueError(f"GATEPOST_GUARD_NUMBER_TYPES: {', '.join(sorted(unknown))} is none of {known}")
        for country in self.guard_countries or ():
            if not (len(country) == 2 and country.isascii() and country.isupper()):
                raise ValueError("GATEPOST_GUARD_COUNTRIES: two capital letters each (ISO 3166-1), like GB,DE")
        if any(price < 0 for of_provider in self.guard_prices.values() for price in of_provider.values()):
            raise ValueError("GATEPOST_GUARD_PRICES: a price is not less than 0")
        return self

    @property
    def guard_window(self) -> timedelta:
        return timedelta(hours=self.guard_window_hours)

    def guard_rules(self) -> Rules:
        return Rules(
            mode=self.guard_mode,
            countries=self.guard_countries or None,
            number_types=self.guard_number_types,
            minimum=self.guard_minimum,
            conversion=self.guard_conversion,
            daily_budget=self.guard_daily_budget,
            installation_budget=self.guard_installation_budget,
            fallback=self.guard_fallback,
        )
