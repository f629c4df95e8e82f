"""The local system itself: its servers, its supervisor, its ports. The services are not needed for it."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import asyncpg
import pytest
import pytest_asyncio

from deploy.local import background, postgres
from deploy.local.environment import Environment
from deploy.local.paths import Trouble
from deploy.local.ports import Ports, free_ports, from_environment, must_be_free
from deploy.local.processes import Child, Program
from deploy.local.stack import Stack


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("servers"), free_ports())
    try:
        await stack.start_servers()
        yield stack
    finally:
        await stack.stop()
        postgres.remove(stack.folder)


async def _ready_again(child: Child) -> None:
    async with asyncio.timeout(40):
        while True:
            try:
                if child.restarts and await child.program.ready():
                    return
            except Exception:
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["postgres", "simulator"])
async def test_a_killed_server_is_started_again(servers: Stack, name: str) -> None:
    child = servers.child(name)
    before = child.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    await _ready_again(child)
    assert child.pid != before
    assert '"event": "process_started_again"' in child.log.read_text()


async def test_ctrl_c_does_not_reach_the_servers_before_they_are_stopped_in_their_order(servers: Stack) -> None:
    pids = [child.pid for child in servers.children()]
    assert len(pids) == 3
    assert all(pid is not None and os.getpgid(pid) != os.getpgid(0) for pid in pids)


async def test_a_refused_row_is_not_quoted_in_the_databases_log(servers: Stack) -> None:
    connection = await asyncpg.connect(servers.dsn("gateway", "gatepost_owner"))
    try:
        await connection.execute("CREATE TABLE quoted (name text PRIMARY KEY)")
        await connection.execute("INSERT INTO quoted VALUES ($1)", "never-quoted")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO quoted VALUES ($1)", "never-quoted")
        await connection.execute("DROP TABLE quoted")
    finally:
        await connection.close()
    log = servers.child("postgres").log.read_text()
    assert "duplicate key value" in log
    assert "never-quoted" not in log


async def test_where_the_services_are_is_written_at_each_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "CREDENTIALS", tmp_path / "credentials.json")
    (tmp_path / "credentials.json").write_text('{"gateway": "http://127.0.0.1:9080", "users": {"ada": 1}}')
    stack = Stack(tmp_path, replace(Ports(), inbox=9025))
    stack.environment = Environment(tmp_path, stack.ports, cast(postgres.Postgres, None))
    await background._introduce(stack)
    known = json.loads((tmp_path / "credentials.json").read_text())
    assert (known["gateway"], known["inbox"]) == ("http://127.0.0.1:8080", "http://127.0.0.1:9025")
    assert known["users"] == {"ada": 1}


async def test_services_are_told_of_workers_and_traces_and_of_nothing_that_is_meant_for_commands(
    servers: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WORKERS": "2", "TRACES": "1", "KEYS": "mine", "CLIENT_FILE": "mine"}.items():
        monkeypatch.setenv(f"GATEPOST_{name}", value)
    told = Environment(tmp_path, servers.ports, servers.postgres, background.handed_on()).of_service("gateway")
    assert (told["GATEPOST_WORKERS"], told["GATEPOST_TRACES"]) == ("2", "1")
    assert told["GATEPOST_KEYS"] == str(tmp_path / "keys" / "gateway")
    assert "GATEPOST_CLIENT_FILE" not in told


def test_when_the_database_is_gone_its_clients_and_events_go_too(tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    (home / "data").mkdir(parents=True)
    (home / "data" / "PG_VERSION").write_text("18")
    folder = tmp_path / "up"
    for name in ("kafka", "clients", "keys"):
        (folder / name).mkdir(parents=True)
    (folder / "credentials.json").write_text("{}")
    (folder / "postgres.json").write_text(json.dumps({"home": str(home), "passwords": {}}))
    postgres.forget_the_rest(folder)
    assert {path.name for path in folder.iterdir()} == {"kafka", "clients", "keys", "credentials.json", "postgres.json"}
    shutil.rmtree(home)
    postgres.forget_the_rest(folder)
    assert {path.name for path in folder.iterdir()} == {"keys", "postgres.json"}


async def test_each_role_connects_to_its_own_database_only(servers: Stack) -> None:
    await (await asyncpg.connect(servers.dsn("gateway"))).close()
    for database in ("gatepost_delivery", "gatepost_sessions", "postgres"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(servers.postgres.dsn(database, "gatepost_gateway"))


async def test_no_service_role_and_no_owner_is_a_superuser(servers: Stack) -> None:
    connection = await asyncpg.connect(servers.dsn("gateway", "postgres"))
    try:
        rows = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolsuper")
    finally:
        await connection.close()
    assert [row["rolname"] for row in rows] == ["postgres"]


def test_no_process_list_shows_a_password(servers: Stack) -> None:
    secrets = [part.encode() for part in (servers.folder / "postgres.json").read_text().split('"') if len(part) == 32]
    assert len(secrets) == 5
    for child in servers.children():
        for shown in ("cmdline", "environ"):
            text = Path(f"/proc/{child.pid}/{shown}").read_bytes()
            assert not any(secret in text for secret in secrets)


async def test_a_program_that_ends_at_once_is_reported_with_what_it_said_this_time(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    child = Child(Program("broken", ["sh", "-c", "echo no such disk; exit 3"], never), tmp_path)
    child.log.write_text("of an earlier start\n")
    with pytest.raises(Trouble, match=r"^broken ended with 3:\nno such disk$"):
        await child.start()


def test_a_busy_port_is_named_with_its_holder_and_the_variable_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        ports = replace(free_ports(), gateway=held.getsockname()[1])
        with pytest.raises(Trouble) as trouble:
            must_be_free(ports)
    assert f"process {os.getpid()}" in str(trouble.value)
    assert "GATEPOST_LOCAL_GATEWAY_PORT" in str(trouble.value)


MANY = """
from deploy.local.ports import free_ports
print(*(port for _ in range(100) for port in free_ports().all().values()), flush=True)
input()
"""


def test_systems_that_run_at_the_same_time_get_ports_of_their_own() -> None:
    pipe, command = subprocess.PIPE, [sys.executable, "-c", MANY]
    others = [subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) for _ in range(3)]
    found = [port for other in others if other.stdout for port in other.stdout.readline().split()]
    for other in others:
        other.communicate("\n")
    assert len(found) == len(set(found)) == 3 * 100 * len(fields(Ports))


def test_ports_whose_service_is_down_are_given_to_nobody_else() -> None:
    taken = [set(free_ports().all().values()) for _ in range(50)]
    assert len(set.union(*taken)) == 50 * len(fields(Ports))


@pytest.mark.parametrize("text", ["0", "65536", "abc", "-1"])
def test_a_port_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GATEPOST_LOCAL_KAFKA_PORT", text)
    with pytest.raises(Trouble, match="GATEPOST_LOCAL_KAFKA_PORT"):
        from_environment()
