"""The environment is read here, once. `GATEPOST_<NAME>`; a secret also as `GATEPOST_<NAME>_FILE`."""

import os
import re
import ssl
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

import structlog
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.platform import failpoints, otlp
from services.platform.environment import PREFIX, BadSettings, content_of
from services.platform.worker import Place

log = structlog.get_logger()

_NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_NAME}(?:\.{_NAME})*\.[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")


class KafkaSettings(BaseSettings):
    """How to reach Kafka: shared by every service and by `gatepost topics`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", hide_input_in_errors=True)

    kafka: str = Field(description="bootstrap servers, host:port[,host:port]")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = "PLAINTEXT"
    kafka_ca_file: Path | None = None
    kafka_cert_file: Path | None = Field(default=None, description="this principal's certificate (PEM), for mTLS")
    kafka_key_file: Path | None = Field(default=None, description="its private key (PEM)")
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None

    @model_validator(mode="after")
    def _principal(self) -> Self:
        if self.kafka_security == "SASL_SSL" and not (self.kafka_username and self.kafka_password):
            raise ValueError(
                "GATEPOST_KAFKA_SECURITY=SASL_SSL also needs GATEPOST_KAFKA_USERNAME and GATEPOST_KAFKA_PASSWORD(_FILE)"
            )
        if bool(self.kafka_cert_file) != bool(self.kafka_key_file):
            raise ValueError("GATEPOST_KAFKA_CERT_FILE and GATEPOST_KAFKA_KEY_FILE are given together or not at all")
        try:
            self.kafka_tls()
        except OSError as bad:
            names = "GATEPOST_KAFKA_CA_FILE, GATEPOST_KAFKA_CERT_FILE or GATEPOST_KAFKA_KEY_FILE"
            raise ValueError(f"{names}: not to be used ({type(bad).__name__})") from None
        return self

    def kafka_tls(self) -> ssl.SSLContext | None:
        """Read anew at each call, so that a renewed certificate is used from the next connection on."""
        if self.kafka_security == "PLAINTEXT":
            return None
        context = ssl.create_default_context(cafile=self.kafka_ca_file)
        if self.kafka_cert_file is not None:
            context.load_cert_chain(self.kafka_cert_file, self.kafka_key_file)
        return context


class ServiceSettings(KafkaSettings):
    """What every service needs. Each service adds its own in `services/<service>/settings.py`."""

    database: SecretStr = Field(description="postgresql://role:password@host:port/database")
    database_pool: int = Field(default=12, ge=2, le=200)
    keys: Path = Field(description="folder with this service's keyring files")
    http_host: str = "127.0.0.1"
    http_port: int = Field(ge=0, le=65535, description="where this service listens")
    public_url: str = Field(default="http://127.0.0.1", description="where users and providers reach this service")
    session_store_url: str | None = None
    client: SecretStr | None = Field(default=None, description="this service's own client, client_id:secret")
    cookie_domain: str | None = Field(default=None, description="sibling hosts below it share the session's cookie")
    allow_insecure: Annotated[frozenset[str], NoDecode] = frozenset()
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    keep_parked_days: int = Field(default=30, ge=1, le=3660, description="events that Kafka refuses for themselves")
    stop_notice_seconds: float = Field(
        default=0, ge=0, le=300, description="at a stop: /readyz says so, and who comes is still served"
    )
    stop_grace_seconds: float = Field(
        default=2, ge=0, le=60, description="then: how long a connection is kept for its last answer"
    )
    traces: float = Field(default=0, ge=0, le=1, description="share of logins whose steps go to a trace collector")
    worker: Annotated[Place | None, NoDecode] = Field(default=None, description="what a supervisor tells its workers")
    fail_at: Annotated[failpoints.FailAt | None, NoDecode] = Field(default=None, description="tests only: where to die")

    @field_validator("allow_insecure", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("fail_at", mode="before")
    @classmethod
    def _points(cls, value: object) -> object:
        return (failpoints.parsed(value) if value else None) if isinstance(value, str) else value

    @field_validator("worker", mode="before")
    @classmethod
    def _place(cls, value: object) -> object:
        return Place.parsed(value) if isinstance(value, str) else value

    @property
    def is_identified(self) -> bool:
        """Whether each process has a name of its own, which no two may have at one time."""
        return False

    @field_validator("cookie_domain")
    @classmethod
    def _domain(cls, value: str | None) -> str | None:
        """Browsers refuse a cookie for a whole top level such as `com`, and for an address."""
        if value is not None and not _DOMAIN.fullmatch(value):
            raise ValueError("a domain of two names at least, in small letters and without a leading dot")
        return value

    def client_pair(self) -> tuple[str, str] | None:
        """client_id and secret, or None where no client was given."""
        if self.client is None:
            return None
        name, _, secret = self.client.get_secret_value().strip().partition(":")
        return name, secret


S = TypeVar("S", bound=ServiceSettings)
K = TypeVar("K", bound=KafkaSettings)


def load(kind: type[S]) -> S:
    """Read and check the settings; raises `BadSettings` naming every variable that is missing or wrong."""
    settings = parsed(kind)
    if settings.traces and (wrong := otlp.faults(os.environ)):
        raise BadSettings("\n".join(wrong))
    if unknown := settings.allow_insecure - _EXPLAINED.keys():
        known = ", ".join(sorted(_EXPLAINED))
        raise BadSettings(f"{PREFIX}ALLOW_INSECURE: {', '.join(sorted(unknown))} is none of {known}")
    if unsafe := insecurities(settings) - settings.allow_insecure:
        raise BadSettings("\n".join(_EXPLAINED[name] for name in sorted(unsafe)))
    for name in sorted(settings.allow_insecure):
        log.warning("insecure_allowed", name=name, instead_of=_EXPLAINED[name].partition(" (or ")[0])
    failpoints.arm(settings.fail_at)
    return settings


def parsed(kind: type[K]) -> K:
    try:
        return kind(**_from_files(kind))
    except ValidationError as bad:
        raise BadSettings("\n".join(_line(kind, each) for each in bad.errors())) from None


def _line(kind: type[KafkaSettings], fault: Mapping[str, Any]) -> str:
    """By the variable's name; what concerns several of them names them itself."""
    name, message = "_".join(str(part) for part in fault["loc"]), fault["msg"]
    if fault["type"] == "missing":
        meant = kind.model_fields[name].description
        message = f"not set ({meant})" if meant else "not set"
    return f"{PREFIX}{name.upper()}: {message}" if name else message.removeprefix("Value error, ")


def worker_number() -> int | None:
    """Which of several workers on one port this process is."""
    place = os.environ.get(f"{PREFIX}WORKER")
    return None if place is None else Place.parsed(place).number


def load_or_exit(kind: type[S]) -> S:
    try:
        return load(kind)
    except BadSettings as bad:
        sys.stderr.write(f"Gatepost does not start: its settings need mending.\n{bad}\n")
        raise SystemExit(2) from None


def _from_files(kind: type[KafkaSettings]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in kind.model_fields:
        variable = f"{PREFIX}{name.upper()}_FILE"
        if variable in os.environ and not name.endswith("_file"):
            found[name] = content_of(variable, os.environ[variable])
    return found


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def stays_here(host: str) -> bool:
    """Whether a browser that is sent there stays on its machine: names below `localhost` do (RFC 6761, section 6.3)."""
    return is_loopback(host) or host.endswith(".localhost")


def insecurities(settings: ServiceSettings) -> set[str]:
    """What is acceptable on one machine and not beyond it."""
    found: set[str] = set()
    if settings.fail_at:
        found.add("fail-at")
    found |= _kafka_insecurities(settings)
    database = urlsplit(settings.database.get_secret_value())
    if not is_loopback(database.hostname or "") and "sslmode=verify-full" not in database.query:
        found.add("database-tls")
    store = urlsplit(settings.session_store_url or "")
    if store.scheme == "http" and not is_loopback(store.hostname or ""):
        found.add("plain-http")
    collector = urlsplit(otlp.endpoint(os.environ))
    if settings.traces and collector.scheme == "http" and not is_loopback(collector.hostname or ""):
        found.add("traces-http")
    if reaches_beyond(settings) and urlsplit(settings.public_url).scheme != "https":
        found.add("public-http")
    return found


def _kafka_insecurities(settings: KafkaSettings) -> set[str]:
    if all(is_loopback(_host(broker)) for broker in settings.kafka.split(",")):
        return set()
    if settings.kafka_security == "PLAINTEXT":
        return {"kafka-plaintext"}
    anonymous = settings.kafka_security == "SSL" and settings.kafka_cert_file is None
    return {"kafka-anonymous"} if anonymous else set()


def reaches_beyond(settings: ServiceSettings) -> bool:
    """Whether anybody on another machine can reach this service."""
    return not (is_loopback(settings.http_host) and stays_here(urlsplit(settings.public_url).hostname or ""))


def _host(server: str) -> str:
    return server.strip().rpartition(":")[0].strip("[]")


_EXPLAINED = {
    "fail-at": "GATEPOST_FAIL_AT: for tests only; unset it (or GATEPOST_ALLOW_INSECURE=fail-at)",
    "kafka-plaintext": "GATEPOST_KAFKA_SECURITY: Kafka beyond loopback needs SSL or SASL_SSL "
    "(or GATEPOST_ALLOW_INSECURE=kafka-plaintext)",
    "kafka-anonymous": "GATEPOST_KAFKA_SECURITY: SSL beyond loopback needs GATEPOST_KAFKA_CERT_FILE and "
    "GATEPOST_KAFKA_KEY_FILE, or use SASL_SSL (or GATEPOST_ALLOW_INSECURE=kafka-anonymous)",
    "database-tls": "GATEPOST_DATABASE: Postgres beyond loopback needs sslmode=verify-full "
    "(or GATEPOST_ALLOW_INSECURE=database-tls)",
    "plain-http": "GATEPOST_SESSION_STORE_URL: another host needs https (or GATEPOST_ALLOW_INSECURE=plain-http)",
    "traces-http": "OTEL_EXPORTER_OTLP_ENDPOINT: another host needs https (or GATEPOST_ALLOW_INSECURE=traces-http)",
    "public-http": "GATEPOST_PUBLIC_URL: a listener beyond loopback needs an https public URL "
    "(or GATEPOST_ALLOW_INSECURE=public-http)",
    "provider-loopback": "provider URL: a provider on loopback or a private address "
    "(or GATEPOST_ALLOW_INSECURE=provider-loopback)",
}
