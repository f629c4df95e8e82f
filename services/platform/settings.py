"""The environment is read here, once. `GATEPOST_<NAME>`; a secret also as `GATEPOST_<NAME>_FILE`."""

import os
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.platform import failpoints

PREFIX = "GATEPOST_"


class KafkaSettings(BaseSettings):
    """How to reach Kafka: shared by every service and by `gatepost topics`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", hide_input_in_errors=True)

    kafka: str = Field(description="bootstrap servers, host:port[,host:port]")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = "PLAINTEXT"
    kafka_ca_file: Path | None = None
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None


class ServiceSettings(KafkaSettings):
    """What every service needs. Each service adds its own in `services/<service>/settings.py`."""

    database: SecretStr = Field(description="postgresql://role:password@host:port/database")
    database_pool: int = Field(default=12, ge=2, le=200)
    keys: Path = Field(description="folder with this service's keyring files")
    http_host: str = "127.0.0.1"
    http_port: int = Field(ge=0, le=65535)
    public_url: str = Field(default="http://127.0.0.1", description="where users and providers reach this service")
    session_store_url: str | None = None
    client: SecretStr | None = Field(default=None, description="this service's own client, client_id:secret")
    allow_insecure: Annotated[frozenset[str], NoDecode] = frozenset()
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    fail_at: Annotated[failpoints.FailAt | None, NoDecode] = Field(default=None, description="tests only: where to die")

    @field_validator("allow_insecure", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("fail_at", mode="before")
    @classmethod
    def _points(cls, value: object) -> object:
        return (failpoints.parsed(value) if value else None) if isinstance(value, str) else value

    def client_pair(self) -> tuple[str, str] | None:
        """client_id and secret, or None where no client was given."""
        if self.client is None:
            return None
        name, _, secret = self.client.get_secret_value().strip().partition(":")
        return name, secret


S = TypeVar("S", bound=ServiceSettings)
K = TypeVar("K", bound=KafkaSettings)


class BadSettings(Exception):
    """Settings that stop the start: one line each, by the variable's name."""


def load(kind: type[S]) -> S:
    """Read and check the settings; raises `BadSettings` naming every variable that is missing or wrong."""
    settings = parsed(kind)
    if unsafe := insecurities(settings) - settings.allow_insecure:
        raise BadSettings("\n".join(_EXPLAINED[name] for name in sorted(unsafe)))
    failpoints.arm(settings.fail_at)
    return settings


def parsed(kind: type[K]) -> K:
    try:
        return kind(**_from_files(kind))
    except ValidationError as bad:
        lines = [f"{PREFIX}{'_'.join(str(p) for p in e['loc']).upper()}: {e['msg']}" for e in bad.errors()]
        raise BadSettings("\n".join(lines)) from None


def secret_of(name: str) -> str:
    """`GATEPOST_<NAME>` or the content of `GATEPOST_<NAME>_FILE`; for commands that need nothing else."""
    if path := os.environ.get(f"{PREFIX}{name}_FILE"):
        return Path(path).read_text().strip()
    if value := os.environ.get(f"{PREFIX}{name}"):
        return value
    raise BadSettings(f"{PREFIX}{name} (or {PREFIX}{name}_FILE): not set")


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
            try:
                found[name] = Path(os.environ[variable]).read_text().strip()
            except OSError as bad:
                raise BadSettings(f"{variable}: {bad.strerror}") from None
    return found


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def insecurities(settings: ServiceSettings) -> set[str]:
    """What is acceptable on one machine and not beyond it (DESIGN 2.8)."""
    found: set[str] = set()
    if settings.fail_at:
        found.add("fail-at")
    if settings.kafka_security == "PLAINTEXT" and not all(is_loopback(_host(b)) for b in settings.kafka.split(",")):
        found.add("kafka-plaintext")
    database = urlsplit(settings.database.get_secret_value())
    if not is_loopback(database.hostname or "") and "sslmode=verify-full" not in database.query:
        found.add("database-tls")
    store = urlsplit(settings.session_store_url or "")
    if store.scheme == "http" and not is_loopback(store.hostname or ""):
        found.add("plain-http")
    if reaches_beyond(settings) and urlsplit(settings.public_url).scheme != "https":
        found.add("public-http")
    return found


def reaches_beyond(settings: ServiceSettings) -> bool:
    """Whether anybody on another machine can reach this service."""
    return not (is_loopback(settings.http_host) and is_loopback(urlsplit(settings.public_url).hostname or ""))


def _host(server: str) -> str:
    return server.strip().rpartition(":")[0].strip("[]")


_EXPLAINED = {
    "fail-at": "GATEPOST_FAIL_AT: for tests only; unset it (or GATEPOST_ALLOW_INSECURE=fail-at)",
    "kafka-plaintext": "GATEPOST_KAFKA_SECURITY: Kafka beyond loopback needs SSL or SASL_SSL "
    "(or GATEPOST_ALLOW_INSECURE=kafka-plaintext)",
    "database-tls": "GATEPOST_DATABASE: Postgres beyond loopback needs sslmode=verify-full "
    "(or GATEPOST_ALLOW_INSECURE=database-tls)",
    "plain-http": "GATEPOST_SESSION_STORE_URL: another host needs https (or GATEPOST_ALLOW_INSECURE=plain-http)",
    "public-http": "GATEPOST_PUBLIC_URL: a listener beyond loopback needs an https public URL "
    "(or GATEPOST_ALLOW_INSECURE=public-http)",
    "provider-loopback": "provider URL: a provider on loopback or a private address "
    "(or GATEPOST_ALLOW_INSECURE=provider-loopback)",
}
