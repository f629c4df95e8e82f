"""One Kafka node in KRaft mode on 127.0.0.1."""

import base64
import subprocess
from collections.abc import Mapping
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.paths import Trouble
from deploy.local.ports import Ports
from deploy.local.processes import Program
from deploy.local.servers import java
from services.platform.clock import new_id

MEMORY = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC")
SHORT_LIVED = "-XX:TieredStopAtLevel=1"
"""For a tool that lives for a second: nothing is worth compiling twice, which takes a third of its processor time."""


def program(servers: Path, folder: Path, ports: Ports, more: Mapping[str, str] | None = None) -> Program:
    """Kafka's command; formats its storage the first time. `more`: other settings than the usual."""
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    lines = _properties(folder, ports) | dict(more or {})
    properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    if not (folder / "data" / "meta.properties").exists():
        _format(servers, folder, properties)
    return Program(
        "kafka", java_command(servers, folder, "kafka.Kafka", str(properties)), lambda: _answers(ports.kafka)
    )


def java_command(servers: Path, folder: Path, main: str, *arguments: str) -> list[str]:
    log4j = Path(__file__).parent / "log4j2.properties"
    options = [f"-Dlog4j2.configurationFile={log4j}", f"-Dkafka.logs.dir={folder}"]
    return [java(), *MEMORY, *options, "-cp", f"{servers / 'kafka'}/*", main, *arguments]


def _format(servers: Path, folder: Path, properties: Path) -> None:
    cluster = base64.urlsafe_b64encode(new_id().bytes).decode().rstrip("=")
    tool = java_command(servers, folder, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties))
    _run([tool[0], SHORT_LIVED, *tool[1:]])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(f"Kafka's storage tool failed:\n{done.stdout[-800:]}{done.stderr[-800:]}")


def _properties(folder: Path, ports: Ports) -> dict[str, str]:
    port, controller = ports.kafka, ports.kafka_controller
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        "message.max.bytes": "2200000",
        "replica.fetch.max.bytes": "2200000",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": "16777216",
        # Else the controller writes a record that says nothing twice a second: a third of what an idle broker costs.
        "metadata.max.idle.interval.ms": "10000",
    }


async def _answers(port: int) -> bool:
    """Whether it lists its topics: what clients will ask first."""
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", request_timeout_ms=2000)
    try:
        await admin.start()
        await admin.list_topics()
    finally:
        await admin.close()
    return True
