"""`gatepost topics check` against a broker whose topics and rights were altered; what it prints mends them."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from structlog.testing import capture_logs

from deploy.local.processes import inherited
from schemas.topics import CLIENTS, LOGIN_CHALLENGES, SESSION_EVENTS, TOPICS, Topic
from services.platform.kafka import Connection
from services.platform.settings import KafkaSettings, parsed
from services.platform.topics import tell_lacks
from tests.commands import typed
from tests.integration.topics.conftest import Broker

NAMES = [f"--principal={who}=User:CN={who}" for who in ("gateway", "delivery", "session-store")]


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def findings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.out)["findings"]
        return found

    def wrong(self) -> list[tuple[str, str]]:
        return [(each["about"], each["what"]) for each in self.findings if each["level"] == "wrong"]


async def check(environment: Mapping[str, str], *arguments: str) -> Ran:
    ran = await typed("topics", "check", *arguments, environment={**inherited(), **environment})
    out, err = await ran.communicate()
    return Ran(ran.returncode or 0, out.decode(), err.decode())


async def asked(broker: Broker, *arguments: str) -> Ran:
    return await check({"GATEPOST_KAFKA": broker.connection.bootstrap}, "--json", *NAMES, *arguments)


async def mended(broker: Broker, found: list[dict[str, Any]]) -> None:
    for line in at_once([line for each in found for line in each["mend"]]):
        await broker.run(line)


@pytest.fixture(scope="module")
async def granted(broker: Broker) -> Broker:
    """Each service has its rights, by the lines that the check prints while nobody has any."""
    first = await asked(broker)
    assert first.code == 1
    assert {what for _, what in first.wrong()} == {"right"}
    lines = [line for each in first.findings for line in each["mend"]]
    await asyncio.gather(*(broker.run(line) for line in at_once(lines)))
    assert (await asked(broker)).wrong() == []
    return broker


def at_once(lines: list[str]) -> list[str]:
    """The lines that differ in their topic only, or in a topic's setting, as one: each starts a Java machine."""
    by_rest: dict[tuple[str, str, str], list[str]] = {}
    for line in dict.fromkeys(lines):
        word, joint = (" --add-config ", ",") if "--add-config" in line else (" --topic ", " --topic ")
        rest, *more = line.split(word)
        by_rest.setdefault((rest, word, joint), []).extend(more)
    return [word.join([rest, joint.join(more)]) if more else rest for (rest, word, joint), more in by_rest.items()]


class Case(NamedTuple):
    topic: Topic
    settings: Mapping[str, str]
    what: str
    level: str = "wrong"


ALTERED = {
    "at-once": (
        Case(SESSION_EVENTS, {"retention.ms": "3600000"}, "retention.ms"),
        Case(SESSION_EVENTS, {"retention.bytes": "1000000"}, "retention.bytes"),
        Case(SESSION_EVENTS, {"max.message.bytes": "1000"}, "max.message.bytes"),
        Case(SESSION_EVENTS, {"min.insync.replicas": "2"}, "min.insync.replicas"),
        Case(SESSION_EVENTS, {"unclean.leader.election.enable": "true"}, "unclean.leader.election.enable"),
        Case(LOGIN_CHALLENGES, {"retention.ms": "604800000"}, "retention.ms", "note"),
        Case(CLIENTS, {"cleanup.policy": "compact,delete"}, "cleanup.policy"),
    ),
    "kept for ever": (Case(LOGIN_CHALLENGES, {"retention.ms": "-1"}, "retention.ms", "note"),),
    "compacted": (Case(SESSION_EVENTS, {"cleanup.policy": "compact"}, "cleanup.policy"),),
}


@pytest.mark.parametrize("name", ALTERED)
async def test_settings_that_differ_are_found_and_mended(granted: Broker, name: str):
    """Seven at once are found as well as one, and each starts no Java machine of its own."""
    altered: dict[Topic, dict[str, str]] = {}
    for case in ALTERED[name]:
        altered.setdefault(case.topic, case.topic.settings()).update(case.settings)
    for topic, settings in altered.items():
        await granted.set(topic.name, settings)
    ran = await asked(granted)
    found = [each for each in ran.findings if each["what"] != "replicas"]
    told = {(each["about"], each["what"], each["level"]) for each in found}
    assert told == {(case.topic.name, case.what, case.level) for case in ALTERED[name]}
    assert len(found) == len(told)
    assert ran.code == ("wrong" in {case.level for case in ALTERED[name]})
    await mended(granted, found)
    assert {each["what"] for each in (await asked(granted)).findings} == {"replicas"}


async def test_a_topic_that_is_missing_is_found_and_made(granted: Broker):
    async with granted.admin() as admin:
        await admin.delete_topics([LOGIN_CHALLENGES.name])
    ran = await asked(granted)
    assert (ran.code, ran.wrong()) == (1, [(LOGIN_CHALLENGES.name, "missing")])
    await mended(granted, ran.findings)
    assert (await asked(granted)).wrong() == []


async def test_too_few_partitions_are_told_and_more_are_none_of_ours(granted: Broker):
    await granted.make(LOGIN_CHALLENGES.name, 3, LOGIN_CHALLENGES.settings())
    ran = await asked(granted)
    found = [each for each in ran.findings if each["what"] == "partitions"]
    assert ([each["about"] for each in found], ran.code) == ([LOGIN_CHALLENGES.name], 0)
    await mended(granted, found)
    assert {each["what"] for each in (await asked(granted)).findings} == {"replicas"}
    assert not [each for each in (await asked(granted, "--partitions", "6")).findings if each["what"] == "partitions"]


async def test_more_than_one_partition_of_clients_is_wrong(granted: Broker):
    await granted.make(CLIENTS.name, 3, CLIENTS.settings())
    ran = await asked(granted)
    assert (ran.code, ran.wrong()) == (1, [(CLIENTS.name, "partitions")])
    await granted.make(CLIENTS.name, 1, CLIENTS.settings())


async def test_who_may_write_without_being_meant_to_is_found_and_stopped(granted: Broker):
    start = 'kafka-acls.sh --bootstrap-server "$KAFKA" --command-config "$ADMIN" --add --force'
    await granted.run(f"{start} --allow-principal User:CN=mallory --operation Write --topic session-events")
    await granted.run(
        f"{start} --allow-principal User:CN=eve --operation All --topic log --resource-pattern-type prefixed"
    )
    ran = await asked(granted)
    told = {(each["about"], each["says"].split(" may ")[0]) for each in ran.findings if each["what"] == "stranger"}
    of_eve = {(topic.name, "User:CN=eve") for topic in TOPICS if topic.name.startswith("log")}
    assert told == {("session-events", "User:CN=mallory"), *of_eve}
    assert ran.code == 1
    await mended(granted, [each for each in ran.findings if each["what"] == "stranger"])
    assert (await asked(granted)).wrong() == []


async def test_a_service_asks_for_its_own_rights(granted: Broker):
    delivery = granted.as_service("delivery")
    whole = await check(delivery, "--as", "delivery", "--json")
    assert (whole.code, whole.findings) == (0, [])
    stranger = await check(granted.as_service("nobody"), "--as", "delivery")
    assert stranger.code == 1
    assert "login-challenges  does not exist, or delivery may not see it" in stranger.out
    other = await check(delivery, "--as", "gateway", "--json")
    assert ("clients", "right") in other.wrong()  # which it may read, and not write
    hidden = await check(delivery, "--json")
    assert [each["about"] for each in hidden.findings if each["what"] == "rights"] == ["rights"]


async def test_a_service_that_starts_names_what_it_lacks_in_one_line(granted: Broker, monkeypatch: pytest.MonkeyPatch):
    for name, value in granted.as_service("delivery").items():
        monkeypatch.setenv(name, value)
    connection = Connection.of(parsed(KafkaSettings))
    with capture_logs() as logs:
        await tell_lacks(connection, "delivery")
    assert logs == []
    start = (
        'kafka-acls.sh --bootstrap-server "$KAFKA" --command-config "$ADMIN" --force --allow-principal User:CN=delivery'
    )
    await granted.run(f"{start} --remove --operation Write --topic dead-letters")
    await granted.run(f"{start} --remove --operation Read --group delivery --resource-pattern-type prefixed")
    with capture_logs() as logs:
        await tell_lacks(connection, "delivery")
    (line,) = logs
    assert line["event"] == "kafka_lacks"
    assert line["lacks"] == [
        "dead-letters: delivery may not write to it",
        "delivery: delivery may not join this consumer group",
    ]
    await mended(granted, [each for each in (await asked(granted)).findings if each["what"] == "right"])
    assert (await asked(granted)).wrong() == []


async def test_people_get_words_and_the_commands_to_mend_it(granted: Broker):
    await granted.set(SESSION_EVENTS.name, SESSION_EVENTS.settings() | {"retention.ms": "3600000"})
    ran = await check({"GATEPOST_KAFKA": granted.connection.bootstrap}, *NAMES)
    assert ran.code == 1
    assert "wrong  session-events  keeps events for 1 hours, meant are 7 days: who is away longer loses some" in ran.out
    assert "--entity-name session-events --add-config retention.ms=604800000" in ran.out
    await granted.set(SESSION_EVENTS.name, SESSION_EVENTS.settings())


async def test_nobody_there_is_exit_code_2():
    ran = await check({"GATEPOST_KAFKA": "127.0.0.1:9"})
    assert (ran.code, "Kafka does not answer" in ran.err) == (2, True)
    assert "Traceback" not in ran.err
