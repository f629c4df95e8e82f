"""Settings that stop the start, by name; and what is allowed in spite of its danger, loudly."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.simulator import certificate
from services.delivery.app import _credentials
from services.platform.environment import BadSettings
from services.platform.kafka import BrokerAway, Connection, Producer
from services.platform.settings import KafkaSettings, ServiceSettings, load, parsed

GOOD = {
    "GATEPOST_KAFKA": "127.0.0.1:9092",
    "GATEPOST_DATABASE": "postgresql://d@127.0.0.1/d",
    "GATEPOST_KEYS": ".",
    "GATEPOST_HTTP_PORT": "0",
}
BEYOND = {"GATEPOST_KAFKA": "127.0.0.1:9092,kafka.example.com:9093"}
TRACED = {"GATEPOST_TRACES": "0.5"}
PERSON = {"GATEPOST_KAFKA_USERNAME": "gateway", "GATEPOST_KAFKA_PASSWORD": "secret"}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Any:
    def tell(**more: str) -> ServiceSettings:
        for name, value in (GOOD | more).items():
            monkeypatch.setenv(name, value)
        return load(ServiceSettings)

    return tell


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, str]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert_file.write_bytes(certificate._signed(key).public_bytes(Encoding.PEM))
    key_file.write_bytes(certificate._pem(key))
    return {"GATEPOST_KAFKA_CERT_FILE": str(cert_file), "GATEPOST_KAFKA_KEY_FILE": str(key_file)}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"GATEPOST_KAFKA_SECURITY": "SASL_SSL"}, ["GATEPOST_KAFKA_USERNAME", "GATEPOST_KAFKA_PASSWORD"]),
        ({"GATEPOST_KAFKA_SECURITY": "SASL_SSL", "GATEPOST_KAFKA_USERNAME": "gateway"}, ["GATEPOST_KAFKA_PASSWORD"]),
        ({"GATEPOST_KAFKA_SECURITY": "SSL", "GATEPOST_KAFKA_CERT_FILE": "x"}, ["GATEPOST_KAFKA_KEY_FILE"]),
        ({"GATEPOST_KAFKA_SECURITY": "SSL", "GATEPOST_KAFKA_CA_FILE": "/no/such"}, ["GATEPOST_KAFKA_CA_FILE"]),
        (BEYOND, ["kafka-plaintext"]),
        (BEYOND | {"GATEPOST_KAFKA_SECURITY": "SSL"}, ["kafka-anonymous", "GATEPOST_KAFKA_CERT_FILE"]),
        ({"GATEPOST_COOKIE_DOMAIN": ".example.com"}, ["GATEPOST_COOKIE_DOMAIN"]),
        ({"GATEPOST_COOKIE_DOMAIN": "com"}, ["GATEPOST_COOKIE_DOMAIN"]),
        ({"GATEPOST_COOKIE_DOMAIN": "192.0.2.1"}, ["GATEPOST_COOKIE_DOMAIN"]),
        ({"GATEPOST_TRACES": "1.5"}, ["GATEPOST_TRACES"]),
        ({"GATEPOST_TRACES": "nan"}, ["GATEPOST_TRACES"]),
        (TRACED | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["OTEL_EXPORTER_OTLP_PROTOCOL", "4318"]),
        (TRACED | {"OTEL_EXPORTER_OTLP_HEADERS": "secret"}, ["OTEL_EXPORTER_OTLP_HEADERS"]),
        (TRACED | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, ["traces-http", "ENDPOINT"]),
        ({"GATEPOST_ALLOW_INSECURE": "kafka-plain"}, ["GATEPOST_ALLOW_INSECURE: kafka-plain", "kafka-plaintext"]),
    ],
)
def test_what_is_unsafe_or_half_given_stops_the_start_by_its_name(told: Any, more: dict[str, str], named: list[str]):
    with pytest.raises(BadSettings) as bad:
        told(**more)
    assert [name for name in named if name not in str(bad.value)] == []
    assert "secret" not in str(bad.value)


def test_what_is_missing_is_named_with_what_belongs_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GATEPOST_KAFKA", raising=False)
    with pytest.raises(BadSettings, match=r"^GATEPOST_KAFKA: not set \(bootstrap servers, host:port.*\)$"):
        parsed(KafkaSettings)


@pytest.mark.parametrize(
    "more",
    [
        {"GATEPOST_KAFKA_SECURITY": "SSL"},
        BEYOND | PERSON | {"GATEPOST_KAFKA_SECURITY": "SASL_SSL"},
    ],
)
def test_on_loopback_or_with_a_principal_it_starts(told: Any, more: dict[str, str]):
    assert told(**more).kafka_tls() is not None


@pytest.mark.parametrize(
    ("more", "share"),
    [
        (TRACED, 0.5),
        (TRACED | {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example:4318"}, 0.5),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, 0),
    ],
)
def test_what_other_programs_are_told_of_traces_matters_only_where_there_are_some(
    told: Any, more: dict[str, str], share: float
):
    assert told(**more).traces == share


def test_a_certificate_and_its_key_are_a_principal(told: Any, pair: dict[str, str]):
    assert told(**BEYOND, **pair, GATEPOST_KAFKA_SECURITY="SSL").kafka_cert_file is not None


def test_what_is_allowed_in_spite_of_its_danger_is_logged_by_name(told: Any):
    with structlog.testing.capture_logs() as lines:
        told(**BEYOND, GATEPOST_ALLOW_INSECURE="kafka-plaintext")
    found = [(line["log_level"], line["name"]) for line in lines if line["event"] == "insecure_allowed"]
    assert found == [("warning", "kafka-plaintext")]


async def test_every_client_of_kafka_shows_its_certificate(pair: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    shown: asyncio.Queue[Any] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, out: shown.put_nowait(out), "127.0.0.1", 0, ssl=asks_for(pair))
    port = server.sockets[0].getsockname()[1]
    more = {"GATEPOST_KAFKA": f"127.0.0.1:{port}", "GATEPOST_KAFKA_SECURITY": "SSL"}
    for name, value in (pair | more | {"GATEPOST_KAFKA_CA_FILE": pair["GATEPOST_KAFKA_CERT_FILE"]}).items():
        monkeypatch.setenv(name, value)
    settings = parsed(KafkaSettings)
    with pytest.raises(BrokerAway):
        await Producer(Connection.of(settings), "test").send("t", b"k", b"v", timeout=1)
    assert name_of(await asyncio.wait_for(shown.get(), 10)) == "gatepost simulator"
    while not shown.empty():
        shown.get_nowait()
    faust = _credentials(settings)  # type: ignore[arg-type]
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=faust.context)
    assert name_of(await asyncio.wait_for(shown.get(), 10)) == "gatepost simulator"
    writer.close()
    server.close()


def name_of(out: Any) -> str:
    return str(dict(pair for (pair,) in out.get_extra_info("peercert")["subject"])["commonName"])


def asks_for(pair: dict[str, str]) -> ssl.SSLContext:
    """A server that lets nobody in without a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pair["GATEPOST_KAFKA_CERT_FILE"])
    context.load_cert_chain(pair["GATEPOST_KAFKA_CERT_FILE"], pair["GATEPOST_KAFKA_KEY_FILE"])
    context.verify_mode = ssl.CERT_REQUIRED
    return context
