"""What each process is told. Secrets go by files of mode 0600, so that no process list and no environment shows one."""

import os
import secrets
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from deploy.local import webhooks
from deploy.local.ports import Ports
from deploy.local.postgres import DATABASES, Postgres

PORT_OF: Final = {"gateway": "gateway", "delivery": "delivery", "session-store": "session_store"}
TWILIO_FROM: Final = "+15005550006"
VONAGE_FROM: Final = "Gatepost"
MAIL_FROM: Final = "codes@gatepost.example"
CHOICES: Final = {"SMS": ("twilio", "vonage", "webhook"), "EMAIL": ("smtp", "ses", "webhook")}


class Environment:
    """The environment of every process of one local system."""

    def __init__(self, folder: Path, ports: Ports, postgres: Postgres, extra: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.ports = ports
        self._postgres = postgres
        self._extra = dict(extra or {})

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{getattr(self.ports, PORT_OF[service])}"

    def urls(self) -> dict[str, str]:
        """Where the services are, by the name of their port."""
        return {port: self.url(service) for service, port in PORT_OF.items()}

    def client_file(self, service: str) -> Path:
        return self.folder / "clients" / service

    def of_service(self, service: str) -> dict[str, str]:
        role = DATABASES[service]
        found = {
            "GATEPOST_KAFKA": f"127.0.0.1:{self.ports.kafka}",
            "GATEPOST_DATABASE_FILE": self._secret(f"{service}.dsn", self._postgres.dsn(role, role)),
            "GATEPOST_KEYS": str(self.keys / service),
            "GATEPOST_HTTP_PORT": str(getattr(self.ports, PORT_OF[service])),
            "GATEPOST_PUBLIC_URL": self.url(service),
            "GATEPOST_SESSION_STORE_URL": self.url("session-store"),
        }
        if self.client_file(service).exists():
            found["GATEPOST_CLIENT_FILE"] = str(self.client_file(service))
        if service == "gateway":  # the operators' pages are delivery's: a sign-in may go on there
            more = os.environ.get("GATEPOST_RETURN_ORIGINS")
            found["GATEPOST_RETURN_ORIGINS"] = ",".join(filter(None, (self.url("delivery"), more)))
        if service == "delivery":  # a port of its own, so its pages are on another origin than the sign-in
            found["GATEPOST_SIGN_IN_URL"] = self.url("gateway")
        return found | (self.providers() if service == "delivery" else {}) | self._extra

    def of_simulator(self) -> dict[str, str]:
        return {
            "GATEPOST_SIM_HTTP_PORT": str(self.ports.inbox),
            "GATEPOST_SIM_SMTP_PORT": str(self.ports.smtp),
            "GATEPOST_SIM_SIGN_IN_URL": f"{self.url('gateway')}/login",
            "GATEPOST_SIM_TWILIO_SID": self._kept("twilio.sid", "AC" + secrets.token_hex(16)),
            "GATEPOST_SIM_TWILIO_TOKEN_FILE": self._kept_file("twilio.token", secrets.token_hex(16)),
            **(self._vonage("GATEPOST_SIM", "PUBLIC_KEY") if by("SMS", "vonage") else {}),
            **(self._ses("GATEPOST_SIM") if by("EMAIL", "ses") else {}),
            **(self._webhook_secrets() if by("SMS", "webhook") or by("EMAIL", "webhook") else {}),
        }

    def providers(self) -> dict[str, str]:
        found = {
            "GATEPOST_INSTANCE_ID": "delivery-1",
            "GATEPOST_ALLOW_INSECURE": "provider-loopback",
            "GATEPOST_GUARD_NUMBER_TYPES": "premium-rate",  # numbers from books and films exist in no plan
        }
        ways = {
            "SMS": {"twilio": self._by_twilio, "vonage": self._by_vonage},
            "EMAIL": {"smtp": self._by_smtp, "ses": self._by_ses},
        }
        for channel, providers in ways.items():
            for name, way in providers.items():
                found |= way() if by(channel, name) else {}
        channels = [channel.lower() for channel in CHOICES if by(channel, "webhook")]
        return found | (self._by_webhook(channels) if channels else {})

    def _by_webhook(self, channels: list[str]) -> dict[str, str]:
        """A folder with a file for each channel, made anew."""
        folder, at = self.folder / "webhooks", f"http://127.0.0.1:{self.ports.inbox}"
        signing, receipts = self._webhook_secrets().values()
        folder.mkdir(parents=True, exist_ok=True)
        for channel, name in webhooks.NAMES.items():
            file = folder / f"{name}.toml"
            file.unlink(missing_ok=True)
            if channel in channels:
                file.write_text(webhooks.file_for(channel, at, signing, receipts, MAIL_FROM))
        return {"GATEPOST_WEBHOOKS": str(folder)}

    def _webhook_secrets(self) -> dict[str, str]:
        """What delivery and the simulator both know: one signs messages, one receipts."""
        return {
            f"GATEPOST_SIM_WEBHOOK_{name}_FILE": self._kept_file(f"webhook.{name}", webhooks.new_secret())
            for name in ("SECRET", "RECEIPTS_SECRET")
        }

    def _by_smtp(self) -> dict[str, str]:
        return {
            "GATEPOST_SMTP_HOST": "127.0.0.1",
            "GATEPOST_SMTP_PORT": str(self.ports.smtp),
            "GATEPOST_SMTP_SECURITY": "none",
            "GATEPOST_SMTP_FROM": MAIL_FROM,
        }

    def _by_ses(self) -> dict[str, str]:
        more = {"BASE_URL": f"http://127.0.0.1:{self.ports.inbox}", "FROM": MAIL_FROM}
        return {f"GATEPOST_SES_{name}": value for name, value in more.items()} | self._ses("GATEPOST")

    def _ses(self, prefix: str) -> dict[str, str]:
        """What delivery and the simulator both know of one key."""
        told = {
            "REGION": "eu-central-1",
            "ACCESS_KEY_ID": self._kept("ses.key", "AKIA" + secrets.token_hex(8).upper()),
            "SECRET_ACCESS_KEY_FILE": self._kept_file("ses.secret", secrets.token_urlsafe(30)),
        }
        return {f"{prefix}_SES_{name}": value for name, value in told.items()}

    def _by_twilio(self) -> dict[str, str]:
        return {
            "GATEPOST_TWILIO_BASE_URL": f"http://127.0.0.1:{self.ports.inbox}",
            "GATEPOST_TWILIO_ACCOUNT_SID": self._kept("twilio.sid", "AC" + secrets.token_hex(16)),
            "GATEPOST_TWILIO_AUTH_TOKEN_FILE": self._kept_file("twilio.token", secrets.token_hex(16)),
            "GATEPOST_TWILIO_FROM": TWILIO_FROM,
        }

    def _by_vonage(self) -> dict[str, str]:
        more = {"BASE_URL": f"http://127.0.0.1:{self.ports.inbox}", "FROM": VONAGE_FROM}
        return {f"GATEPOST_VONAGE_{name}": value for name, value in more.items()} | self._vonage(
            "GATEPOST", "PRIVATE_KEY"
        )

    def _vonage(self, prefix: str, key: str) -> dict[str, str]:
        """What delivery and the simulator both know of one application, and each one's half of its key."""
        if not (self.folder / "secrets" / "vonage.PRIVATE_KEY").exists():
            for name, pem in new_key_pair().items():
                self._secret(f"vonage.{name}", pem)
        told = {
            "APPLICATION_ID": self._kept("vonage.application", str(uuid.uuid4())),
            "API_KEY": self._kept("vonage.account", secrets.token_hex(4)),
            "SIGNATURE_SECRET_FILE": self._kept_file("vonage.signature", secrets.token_hex(32)),
            f"{key}_FILE": str(self.folder / "secrets" / f"vonage.{key}"),
        }
        return {f"{prefix}_VONAGE_{name}": value for name, value in told.items()}

    def _kept(self, name: str, fresh: str) -> str:
        return Path(self._kept_file(name, fresh)).read_text()

    def _kept_file(self, name: str, fresh: str) -> str:
        path = self.folder / "secrets" / name
        return str(path) if path.exists() else self._secret(name, fresh)

    def _secret(self, name: str, value: str) -> str:
        path = self.folder / "secrets" / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write(value)
        return str(path)


def by(channel: str, provider: str) -> bool:
    """`GATEPOST_LOCAL_SMS=vonage`, `GATEPOST_LOCAL_EMAIL=ses`: whose API is spoken; without it the first of `CHOICES`.
    The simulator speaks them all.
    """
    name, choices = f"GATEPOST_LOCAL_{channel}", CHOICES[channel]
    chosen = os.environ.get(name) or choices[0]
    if chosen not in choices:
        sys.exit(f"{name}={chosen}: choose one of {', '.join(choices)}")
    return chosen == provider


def new_key_pair() -> dict[str, str]:
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {"PRIVATE_KEY": private.decode(), "PUBLIC_KEY": public.decode()}


def gatepost(*arguments: str) -> list[str]:
    """The product's command, by this Python."""
    return [sys.executable, "-m", "services", *arguments]
