"""Delivery's settings, beyond those that every service has."""

import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, SecretStr, model_validator

from services.delivery.guard_settings import GuardSettings
from services.platform.settings import is_loopback, reaches_beyond


class DeliverySettings(GuardSettings):
    """`GATEPOST_<NAME>`; secrets also as `GATEPOST_<NAME>_FILE`."""

    http_port: int = Field(default=8081, ge=0, le=65535)
    instance_id: str | None = Field(default=None, description="stable identity of this worker, where it has one")
    slots: int = Field(default=64, ge=1, le=1024, description="provider calls at once")
    sends_per_hour: int = Field(default=5, ge=1, description="replays: messages to one user and one recipient")
    sends_per_day: int = Field(default=20, ge=1)
    keep_deliveries_days: int = Field(default=30, ge=2, le=3660, description="messages and their steps")
    keep_dead_letters_days: int = Field(default=30, ge=7, le=3660)
    keep_replays_days: int = Field(default=90, ge=1, le=3660)
    sign_in_url: str | None = Field(
        default=None, description="the gateway's public URL, where its sign-in is on another origin than /operations"
    )
    replays_per_second: float = Field(default=50, gt=0, description="messages of a replay that names no rate")
    replays_per_second_most: float = Field(default=500, gt=0, description="what a replay may ask for")
    code_host: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        description="host name that the code in an SMS is bound to, without scheme and port",
    )
    templates: Path | None = Field(default=None, description="folder with wording in the place of the built-in one")
    locale: str = Field(default="en", description="wording for whoever has no locale, or one that has no wording")

    twilio_base_url: str = "https://api.twilio.com"
    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_from: str | None = None
    twilio_receipts: bool = True
    vonage_base_url: str = "https://api.nexmo.com"
    vonage_application_id: str | None = None
    vonage_private_key: SecretStr | None = Field(default=None, description="the application's RSA key, PEM")
    vonage_from: str | None = None
    vonage_receipts: bool = True
    vonage_api_key: str | None = Field(default=None, description="the account that signs receipts")
    vonage_signature_secret: SecretStr | None = None
    receipts_url: str | None = Field(default=None, description="base for receipt URLs, when not the public URL")

    webhooks: Path | None = Field(default=None, description="folder with a file for each provider by webhook")

    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_security: Literal["none", "starttls", "tls"] = "starttls"
    smtp_from: str = "no-reply@localhost.localdomain"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    ses_region: str | None = Field(default=None, pattern=r"^[a-z0-9-]{1,40}$", description="like eu-central-1")
    ses_access_key_id: str | None = None
    ses_secret_access_key: SecretStr | None = None
    ses_from: str | None = Field(default=None, pattern=r"^[!-~]+@[!-~]+$", description="an address that SES verified")
    ses_configuration_set: str | None = None
    ses_base_url: str | None = Field(default=None, description="another address than the region's own")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.twilio_account_sid and not (self.twilio_auth_token and self.twilio_from):
            raise ValueError(
                "GATEPOST_TWILIO_ACCOUNT_SID also needs GATEPOST_TWILIO_AUTH_TOKEN(_FILE) and GATEPOST_TWILIO_FROM"
            )
        if self.smtp_user and not self.smtp_password:
            raise ValueError("GATEPOST_SMTP_USER also needs GATEPOST_SMTP_PASSWORD(_FILE)")
        self._check_vonage()
        self._check_ses()
        given = (self.twilio_account_sid, self.vonage_application_id, self.smtp_host, self.ses_region, self.webhooks)
        if not any(given):
            raise ValueError(
                "no provider: set GATEPOST_TWILIO_ACCOUNT_SID, GATEPOST_VONAGE_APPLICATION_ID, GATEPOST_SMTP_HOST,"
                " GATEPOST_SES_REGION or GATEPOST_WEBHOOKS"
            )
        if insecure_providers(self) and "provider-loopback" not in self.allow_insecure:
            raise ValueError(
                "GATEPOST_TWILIO_BASE_URL, GATEPOST_VONAGE_BASE_URL, GATEPOST_SES_BASE_URL or GATEPOST_SMTP_HOST: a"
                " provider without TLS, on loopback or on a private address"
                " (or GATEPOST_ALLOW_INSECURE=provider-loopback)"
            )
        return self

    def _check_ses(self) -> None:
        needed = (self.ses_region, self.ses_access_key_id, self.ses_secret_access_key, self.ses_from)
        if any(needed) and not all(needed):
            raise ValueError(
                "Amazon SES needs all of GATEPOST_SES_REGION, GATEPOST_SES_ACCESS_KEY_ID,"
                " GATEPOST_SES_SECRET_ACCESS_KEY(_FILE) and GATEPOST_SES_FROM"
            )

    def _check_vonage(self) -> None:
        needed = (self.vonage_application_id, self.vonage_private_key, self.vonage_from)
        if not any((*needed, self.vonage_api_key, self.vonage_signature_secret)):
            return
        if not all(needed):
            raise ValueError(
                "Vonage needs all of GATEPOST_VONAGE_APPLICATION_ID, GATEPOST_VONAGE_PRIVATE_KEY(_FILE) and"
                " GATEPOST_VONAGE_FROM"
            )
        self.vonage_rsa_key()
        if self.vonage_receipts and not (self.vonage_api_key and self.vonage_signature_secret):
            raise ValueError(
                "GATEPOST_VONAGE_RECEIPTS needs GATEPOST_VONAGE_API_KEY and GATEPOST_VONAGE_SIGNATURE_SECRET(_FILE),"
                " or has to be false"
            )

    def vonage_rsa_key(self) -> RSAPrivateKey:
        """Raises `ValueError` for anything but an RSA key in PEM."""
        try:
            key = load_pem_private_key(revealed(self.vonage_private_key).encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("GATEPOST_VONAGE_PRIVATE_KEY(_FILE): not an RSA private key in PEM without a passphrase")
        return key

    def receipts_at(self, provider: str) -> str:
        """Where that provider sends receipts; it signs for exactly this address."""
        return f"{(self.receipts_url or self.public_url).rstrip('/')}/v1/receipts/{provider}"

    @property
    def is_identified(self) -> bool:
        return self.instance_id is not None

    @property
    def member_id(self) -> str | None:
        """Who this process is to Kafka's group. Of several workers each is somebody."""
        if self.instance_id is None or self.worker is None:
            return self.instance_id
        return f"{self.instance_id}-{self.worker.number}"

    @property
    def bound_host(self) -> str:
        return self.code_host or urlsplit(self.public_url).hostname or "localhost"


def revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def insecure_providers(settings: DeliverySettings) -> list[str]:
    """Providers that are acceptable on one machine only."""
    if not reaches_beyond(settings):
        return []
    found = []
    if settings.twilio_account_sid and is_insecure(settings.twilio_base_url):
        found.append("twilio")
    if settings.vonage_application_id and is_insecure(settings.vonage_base_url):
        found.append("vonage")
    if settings.smtp_host and (settings.smtp_security == "none" or is_private(settings.smtp_host)):
        found.append("smtp")
    if settings.ses_region and settings.ses_base_url and is_insecure(settings.ses_base_url):
        found.append("ses")
    return found


def is_insecure(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme != "https" or is_private(parts.hostname or "")


def is_private(host: str) -> bool:
    """A loopback name, or an address that no public provider has. Names are not resolved."""
    try:
        address = ip_address(host)
    except ValueError:
        return is_loopback(host) or host == socket.gethostname()
    return address.is_private or address.is_loopback or address.is_link_local
