"""A broker of its own that checks rights: whoever comes without TLS is its administrator, the others are who their
certificate says.
"""

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.local import kafka, servers
from deploy.local.ports import Ports, free_ports
from deploy.local.processes import Child
from services.platform.kafka import Connection
from services.platform.topics import create_topics
from tests.integration.gateway_login.world import eventually
from tests.integration.topics.authority import Authority

TOOLS = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
}


@dataclass
class Broker:
    folder: Path
    ports: Ports
    servers: Path
    authority: Authority

    @property
    def connection(self) -> Connection:
        return Connection(f"127.0.0.1:{self.ports.kafka}")

    def as_service(self, who: str) -> dict[str, str]:
        """The environment of a service, or of a command that asks in its place."""
        cert, key = self.authority.pair(who)
        return {
            "GATEPOST_KAFKA": f"127.0.0.1:{self.ports.inbox}",
            "GATEPOST_KAFKA_SECURITY": "SSL",
            "GATEPOST_KAFKA_CA_FILE": str(self.authority.file),
            "GATEPOST_KAFKA_CERT_FILE": str(cert),
            "GATEPOST_KAFKA_KEY_FILE": str(key),
        }

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[Any]:
        admin = AIOKafkaAdminClient(**self.connection.options())
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    async def set(self, topic: str, settings: Mapping[str, str]) -> None:
        """These settings, and the broker's own for all others."""
        async with self.admin() as admin:
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(settings))])

    async def make(self, topic: str, partitions: int, settings: Mapping[str, str]) -> None:
        async with self.admin() as admin:
            await admin.delete_topics([topic])
            await eventually(partial(_gone, admin, topic))
            await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=dict(settings))])

    async def run(self, line: str) -> None:
        """A line that `gatepost topics check` printed, as an operator would run it."""
        if line.startswith("#"):
            return
        if line == "gatepost topics create":
            await create_topics(self.connection, 12, 1)
            return
        admin = self.folder / "admin.properties"
        admin.touch()
        told = line.replace('"$KAFKA"', self.connection.bootstrap).replace('"$ADMIN"', str(admin))
        tool, *arguments = shlex.split(told)
        await self._java(TOOLS[tool], arguments)

    async def _java(self, main: str, arguments: Sequence[str]) -> None:
        command = kafka.java_command(self.servers, self.folder, main, *arguments)
        pipe = asyncio.subprocess.PIPE
        ran = await asyncio.create_subprocess_exec(
            *command, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=os.environ
        )
        said, _ = await ran.communicate()
        assert ran.returncode == 0, said.decode()


async def _gone(admin: Any, topic: str) -> bool:
    """It is taken away in the background."""
    return topic not in await admin.list_topics()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    folder, ports = tmp_path_factory.mktemp("broker"), free_ports()
    found = await asyncio.to_thread(servers.fetched)
    authority = Authority(folder)
    more = {
        "listeners": ",".join(
            f"{name}://127.0.0.1:{port}"
            for name, port in (("PLAINTEXT", ports.kafka), ("SSL", ports.inbox), ("CONTROLLER", ports.kafka_controller))
        ),
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{ports.kafka},SSL://127.0.0.1:{ports.inbox}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.both("broker")),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.file),
    }
    child = Child(await asyncio.to_thread(kafka.program, found, folder / "kafka", ports, more), folder)
    try:
        await child.start()
        made = Broker(folder, ports, found, authority)
        await create_topics(made.connection, 12, 1)
        yield made
    finally:
        await child.stop()
