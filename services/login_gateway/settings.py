"""The gateway's settings, and how many of each thing a user, address, account or client may do."""

from pydantic import Field

from services.platform.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
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
    feed_wrong_codes_hour: int = Field(default=100, ge=1)
    feed_wrong_codes_percent: int = Field(default=1, ge=1, le=100)
    keep_logins_days: int = Field(default=8, ge=8, le=366)
    logins_per_hour: int = Field(default=10, ge=1)
    sends_per_hour: int = Field(default=5, ge=1)
    sends_per_day: int = Field(default=20, ge=1)
