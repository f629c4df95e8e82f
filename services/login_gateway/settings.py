"""The gateway's settings, and how many of each thing a user, address, account or client may do."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from services.platform.settings import ServiceSettings, stays_here


class GatewaySettings(ServiceSettings):
    return_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="where a sign-in may go on to, beside this host: exact origins"
    )
    password_threads: int | None = Field(default=None, ge=1, le=64)
    password_failure_floor_ms: int = Field(default=300, ge=0, le=5000)
    wrong_passwords_user_15min: int = Field(default=10, ge=1)
    wrong_passwords_address_15min: int = Field(default=100, ge=1)
    tries_per_login: int = Field(default=5, ge=1, le=10)
    wrong_codes_15min: int = Field(default=10, ge=1, le=100)
    wrong_codes_day: int = Field(default=20, ge=1, le=200)
    wrong_codes_total: int = Field(default=100, ge=1, le=100)
    wrong_codes_for_long_codes: int = Field(default=10, ge=1)
    guessed_logins_account_hour: int = Field(default=50, ge=1)
    guessed_logins_hour: int = Field(default=500, ge=1)
    feed_database_pool: int = Field(default=4, ge=2, le=50, description="connections that only feeds use")
    feed_calls: int = Field(default=3, ge=1, le=50, description="POST /v1/feed/logins: calls worked on at once")
    feed_wrong_codes_hour: int = Field(default=100, ge=1)
    feed_wrong_codes_percent: int = Field(default=1, ge=1, le=100)
    keep_logins_days: int = Field(default=8, ge=8, le=366)
    logins_per_hour: int = Field(default=10, ge=1)
    sends_per_hour: int = Field(default=5, ge=1)
    sends_per_day: int = Field(default=20, ge=1)

    @field_validator("return_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("return_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Scheme, host and port, nothing else; plain HTTP only where nobody listens in between."""
        for origin in value:
            url = urlsplit(origin)
            if url.scheme not in ("http", "https") or not url.hostname or origin != f"{url.scheme}://{url.netloc}":
                raise ValueError(f"{origin} is no origin such as https://app.example.com")
            if url.scheme == "http" and not stays_here(url.hostname):
                raise ValueError(f"{origin}: another host needs https")
        return value

    @model_validator(mode="after")
    def _below_domain(self) -> Self:
        host = urlsplit(self.public_url).hostname or ""
        if self.cookie_domain is not None and not f".{host}".endswith(f".{self.cookie_domain}"):
            raise ValueError(
                f"GATEPOST_COOKIE_DOMAIN: the host of GATEPOST_PUBLIC_URL is not {self.cookie_domain} or below"
            )
        return self
