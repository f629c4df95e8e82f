"""What a Kafka cluster has: its topics, their settings, and who may do what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, for_code
from aiokafka.protocol.admin import DescribeAclsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from services.platform.kafka import Connection

ANY: Final = 1
TOPIC: Final = 2
GROUP: Final = 3
PATTERNS: Final = {3: "literal", 4: "prefixed"}
OPERATIONS: Final = {2: "All", 3: "Read", 4: "Write"}
ALLOW: Final = 3
PATIENCE_MS: Final = 10_000


class Placed(NamedTuple):
    """A topic as it is. `replicas`: of the partition that has fewest. `settings` None: not ours to see."""

    partitions: int
    replicas: int
    settings: Mapping[str, str] | None


class Rule(NamedTuple):
    """One line of the cluster's ACLs. `name` is a topic's or a group's, the beginning of some, or `*`."""

    kind: str
    name: str
    pattern: str
    principal: str
    operation: str
    allows: bool

    def covers(self, kind: str, name: str) -> bool:
        if kind != self.kind:
            return False
        return name.startswith(self.name) if self.pattern == "prefixed" else self.name in ("*", name)


class Cluster(NamedTuple):
    """`rules` None: the cluster checks no rights; a text: why they cannot be seen."""

    topics: Mapping[str, Placed]
    rules: Sequence[Rule] | str | None


class Own(NamedTuple):
    """What whoever asks may do: topics that it sees, may write, may read; groups that it may not join."""

    seen: frozenset[str]
    write: frozenset[str]
    read: frozenset[str]
    closed_groups: frozenset[str]


async def cluster(connection: Connection, wanted: Iterable[str]) -> Cluster:
    """Raises `KafkaError` or `OSError` when no broker answers."""
    async with _Admin(connection) as admin:
        topics = await admin.describe_topics()
        found = {topic["topic"]: topic["partitions"] for topic in topics if topic["topic"] in set(wanted)}
        settings = await _settings(admin, list(found)) if found else {}
        return Cluster({name: _placed(found[name], settings.get(name)) for name in found}, await _rules(admin))


async def own(connection: Connection, groups: Iterable[str]) -> Own:
    """Raises `KafkaError` or `OSError` when no broker answers."""
    async with _Admin(connection) as admin:
        answer = await admin._send_request(Authorized())
        topics = [topic for topic in answer.to_object()["topics"] if topic["error_code"] == 0]
        closed = [group for group in groups if not await _joins(admin, group)]
    may = {topic["name"]: topic["operations"] for topic in topics}
    return Own(
        frozenset(may),
        frozenset(name for name, bits in may.items() if bits & 1 << 4),
        frozenset(name for name, bits in may.items() if bits & 1 << 3),
        frozenset(closed),
    )


class _Admin:
    def __init__(self, connection: Connection) -> None:
        self._admin = AIOKafkaAdminClient(request_timeout_ms=PATIENCE_MS, **connection.options())

    async def __aenter__(self) -> Any:
        try:
            await self._admin.start()
        except BaseException:
            await self._admin.close()
            raise
        return self._admin

    async def __aexit__(self, *error: object) -> None:
        await self._admin.close()


def _placed(partitions: Sequence[Mapping[str, Any]], settings: Mapping[str, str] | None) -> Placed:
    return Placed(len(partitions), min((len(each["replicas"]) for each in partitions), default=0), settings)


async def _settings(admin: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Those of topics that the principal may look into."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(asked):
        for error, _, _, name, entries in answer.resources:
            if not error:
                found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _rules(admin: Any) -> list[Rule] | str | None:
    found: list[Rule] = []
    for number, kind in ((TOPIC, "topic"), (GROUP, "group")):
        answer = await admin._send_request(DescribeAclsRequest(number, None, ANY, None, None, ANY, ANY))
        if answer.error_code:
            name = str(for_code(answer.error_code).__name__)
            return None if name == "SecurityDisabled" else name
        found += [
            Rule(kind, resource, PATTERNS[pattern], principal, OPERATIONS[operation], allows == ALLOW)
            for _, resource, pattern, rules in answer.resources
            for principal, _, operation, allows in rules
            if operation in OPERATIONS and pattern in PATTERNS
        ]
    return found


async def _joins(admin: Any, group: str) -> bool:
    """Whoever may not join a group is not told its coordinator either."""
    try:
        await admin.find_coordinator(group)
    except GroupAuthorizationFailedError:
        return False
    except KafkaError:  # a cluster that has just begun has no coordinators yet
        return True
    return True


class AuthorizedAnswer(Response):  # type: ignore[misc]
    """Metadata of version 8: aiokafka knows it up to 5, where nothing is said of rights."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8")))),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("name", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline", Array(Int32)),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("operations", Int32),
    )


class AuthorizedRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = AuthorizedAnswer
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class Authorized(Request[AuthorizedRequest]):  # type: ignore[misc]
    """All topics that the principal sees, with what it may do to each."""

    API_KEY = 3

    def build(self, request_struct_class: type[AuthorizedRequest]) -> AuthorizedRequest:
        return request_struct_class(None, False, False, True)
