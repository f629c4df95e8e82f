"""Kafka's rights are generated from the table of topics, for whoever a principal is to Kafka."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from schemas import topics
from services.platform.commands import topics as command

SERVICES = Path(__file__).parents[2] / "services"


def rights(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["rights", *arguments])


def options(line: str) -> dict[str, list[str]]:
    words = shlex.split(line)[1:]
    found: dict[str, list[str]] = {}
    for name, value in zip(words, [*words[1:], ""], strict=True):
        if name.startswith("--"):
            found.setdefault(name, []).append(value)
    return found


def granted(*arguments: str) -> list[dict[str, list[str]]]:
    ran = rights(*arguments)
    assert ran.exit_code == 0, ran.output
    return [options(line) for line in ran.output.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(("operation", "side"), [("Write", "producers"), ("Read", "consumers")])
def test_the_lines_grant_what_the_table_says_and_nothing_else(operation: str, side: str):
    lines = [line for line in granted() if line["--operation"] == [operation] and "--topic" in line]
    found = {(line["--allow-principal"][0], name) for line in lines for name in line["--topic"]}
    assert found == {(f"User:{who}", topic.name) for topic in topics.TOPICS for who in getattr(topic, side)}


def test_who_reads_has_the_groups_that_bear_its_name():
    found = {line["--group"][0]: line for line in granted() if "--group" in line}
    assert set(found) == {who for topic in topics.TOPICS for who in topic.consumers}
    assert all(line["--resource-pattern-type"] == ["prefixed"] for line in found.values())


def test_every_consumer_group_bears_the_name_of_its_service():
    groups = {
        (path.parent.name, name)
        for path in SERVICES.rglob("*.py")
        for name in re.findall(r'group_consumer\(\w[\w.]*, "([\w-]+)"|faust\.App\(\s*"([\w-]+)"', path.read_text())
        for name in name
        if name
    }
    names = {"login_gateway": "gateway", "delivery": "delivery", "session_store": "session-store"}
    assert {folder for folder, _ in groups} == set(names)
    assert {(names[folder], name) for folder, name in groups} == {
        (service, name) for service, of in topics.GROUPS.items() for name in of
    }
    assert all(name.startswith(service) for service, of in topics.GROUPS.items() for name in of)


def test_a_principal_may_have_another_name_for_kafka():
    name = "User:CN=gateway,O=Example & Sons"
    found = {line["--allow-principal"][0] for line in granted("--principal", f"gateway={name}")}
    assert name in found
    assert "User:gateway" not in found


@pytest.mark.parametrize("given", ["gatekeeper=User:x", "gateway", "gateway=x"])
def test_an_unknown_principal_is_refused(given: str):
    assert rights("--principal", given).exit_code == 2


def test_as_json_it_is_the_table():
    found: Any = json.loads(rights("--json").output)
    assert {who: {what: set(of) for what, of in may.items()} for who, may in found.items()} == topics.rights()
