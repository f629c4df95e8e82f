"""The whole simulator, HTTP and SMTP, for a process or inside a test."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from deploy.simulator.app import build_simulator
from deploy.simulator.certificate import make_tls
from deploy.simulator.faults import Faults
from deploy.simulator.ses import Ses, SesAccount
from deploy.simulator.smtp import MailLogin, listen
from deploy.simulator.store import Store
from deploy.simulator.submissions import HttpProvider
from deploy.simulator.twilio import Twilio
from deploy.simulator.vonage import Vonage, VonageAccount
from deploy.simulator.webhook import Webhook, WebhookAccount


class BadSettings(ValueError):
    """The text names the variable to set."""


@dataclass(frozen=True)
class Settings:
    """Port 0 takes a free one."""

    twilio_sid: str
    twilio_token: str = field(repr=False)
    http_port: int = 0
    smtp_port: int = 0
    cert_file: Path | None = None
    mail_login: MailLogin | None = None
    vonage: VonageAccount | None = None
    ses: SesAccount | None = None
    webhook: WebhookAccount | None = None

    @classmethod
    def from_environment(cls) -> "Settings":
        cert = os.environ.get("GATEPOST_SIM_CERT_FILE")
        user = os.environ.get("GATEPOST_SIM_SMTP_USER")
        return cls(
            twilio_sid=_needed("GATEPOST_SIM_TWILIO_SID"),
            twilio_token=_secret("GATEPOST_SIM_TWILIO_TOKEN"),
            http_port=_port("GATEPOST_SIM_HTTP_PORT", 8025),
            smtp_port=_port("GATEPOST_SIM_SMTP_PORT", 1025),
            cert_file=Path(cert) if cert else None,
            mail_login=MailLogin(user, _secret("GATEPOST_SIM_SMTP_PASSWORD")) if user else None,
            vonage=_vonage(),
            ses=_ses(),
            webhook=_webhook(),
        )


@dataclass(frozen=True)
class Running:
    http_url: str
    smtp_port: int


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Both servers on 127.0.0.1 until the block ends."""
    store, faults = Store(), Faults()
    app = build_simulator(store, faults, _providers(settings, store, faults))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", settings.http_port).start()
        tls = make_tls(settings.cert_file)
        mail = await listen(store, faults, settings.smtp_port, tls, settings.mail_login)
        try:
            yield Running(f"http://127.0.0.1:{runner.addresses[0][1]}", mail.sockets[0].getsockname()[1])
        finally:
            mail.close()
    finally:
        await runner.cleanup()


def _providers(settings: Settings, store: Store, faults: Faults) -> list[HttpProvider]:
    found: list[HttpProvider] = [Twilio(store, faults, settings.twilio_sid, settings.twilio_token)]
    if settings.vonage:
        found.append(Vonage(store, faults, settings.vonage))
    if settings.ses:
        found.append(Ses(store, faults, settings.ses))
    if settings.webhook:
        found += [Webhook(store, faults, settings.webhook, channel) for channel in ("sms", "email")]
    return found


def _webhook() -> WebhookAccount | None:
    """Only where a secret is given."""
    if not os.environ.get("GATEPOST_SIM_WEBHOOK_SECRET_FILE", os.environ.get("GATEPOST_SIM_WEBHOOK_SECRET")):
        return None
    return WebhookAccount(_secret("GATEPOST_SIM_WEBHOOK_SECRET"), _secret("GATEPOST_SIM_WEBHOOK_RECEIPTS_SECRET"))


def _ses() -> SesAccount | None:
    """Only where a key is named."""
    if not (key_id := os.environ.get("GATEPOST_SIM_SES_ACCESS_KEY_ID")):
        return None
    return SesAccount(_needed("GATEPOST_SIM_SES_REGION"), key_id, _secret("GATEPOST_SIM_SES_SECRET_ACCESS_KEY"))


def _vonage() -> VonageAccount | None:
    """Only where an application is named."""
    application_id = os.environ.get("GATEPOST_SIM_VONAGE_APPLICATION_ID")
    if not application_id:
        return None
    try:
        key = load_pem_public_key(_secret("GATEPOST_SIM_VONAGE_PUBLIC_KEY").encode())
    except ValueError:
        key = None
    if not isinstance(key, RSAPublicKey):
        raise BadSettings("GATEPOST_SIM_VONAGE_PUBLIC_KEY(_FILE) must be an RSA public key in PEM")
    secret = _secret("GATEPOST_SIM_VONAGE_SIGNATURE_SECRET")
    return VonageAccount(application_id, key, _needed("GATEPOST_SIM_VONAGE_API_KEY"), secret)


def _needed(name: str) -> str:
    if not (value := os.environ.get(name)):
        raise BadSettings(f"set {name}")
    return value


def _secret(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    return Path(path).read_text().strip() if path else _needed(name)


def _port(name: str, usual: int) -> int:
    given = os.environ.get(name, str(usual))
    if not given.isdecimal() or int(given) > 65535:
        raise BadSettings(f"{name} must be a port between 0 and 65535")
    return int(given)
