"""Several processes on one port: they start, die, are replaced and end, and whoever talks to them hardly notices."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.stack import Stack
from tests.e2e.team import Team, is_alive, team_of, until


async def gone(team: Team, pids: list[int]) -> None:
    await until(lambda: not any(is_alive(pid) for pid in pids), team)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Team]:
    """Two gateways, for the tests that leave two. Their keys are a link in the folder of the log."""
    folder = tmp_path_factory.mktemp("pair")
    keys = folder / "keys"
    keys.symlink_to(stack.environment.keys / "gateway")
    async with team_of(stack, "gateway", folder, "--workers", "2", keys=str(keys)) as team:
        await team.until_ready(2)
        yield team


async def test_two_share_a_port_and_one_page_tells_of_both(pair: Team) -> None:
    for _ in range(40):
        assert (await pair.ask())[0] == 200
    _, page = await pair.ask("GET", "/metrics")
    counts, started = Counter[str](), set[str]()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            assert sample.labels["worker"] in ("1", "2")
            if sample.name == "process_start_time_seconds":
                started.add(sample.labels["worker"])
            if sample.name == "gatepost_http_request_seconds_count" and sample.labels["route"] == "/healthz":
                counts[sample.labels["worker"]] += int(sample.value)
    assert started == {"1", "2"}
    assert counts.total() == 40
    assert min(counts.values()) > 0, counts
    assert page.count("# TYPE gatepost_http_request_seconds histogram") == 1


async def test_who_is_killed_is_started_again_and_whoever_came_meanwhile_is_served(pair: Team) -> None:
    before, listened = pair.workers(), len(pair.listening())
    os.kill(before[1], signal.SIGKILL)
    answers = await asyncio.gather(*(pair.ask() for _ in range(30)))
    assert [status for status, _ in answers] == [200] * 30
    await pair.until_ready(1, more_than=listened)
    after = pair.workers()
    assert after[1] != before[1]
    assert after[2] == before[2]


async def test_all_are_replaced_and_no_client_notices(pair: Team) -> None:
    before, asked, over = pair.workers(), Counter[str](), asyncio.Event()

    async def ask(kept: bool) -> None:
        """POSTs, which no client repeats by itself: whatever is cut off fails here."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=not kept)) as http:
            while not over.is_set():
                async with http.post(f"{pair.url}/v1/logins", data=b"") as answer:
                    assert answer.status == 400
                asked["kept" if kept else "new"] += 1
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as clients:
        for number in range(8):
            clients.create_task(ask(kept=number % 2 == 0))
        pair.process.send_signal(signal.SIGHUP)
        await until(lambda: pair.lines("workers_replaced"), pair)
        over.set()
    after = pair.workers()
    assert not set(before.values()) & set(after.values())
    assert min(asked["kept"], asked["new"]) > 50, asked


async def test_who_would_not_work_replaces_nobody(pair: Team, stack: Stack) -> None:
    before, keys = pair.workers(), pair.log.parent / "keys"
    keys.unlink()  # a new process finds no keys
    pair.process.send_signal(signal.SIGHUP)
    await until(lambda: pair.lines("restart_given_up"), pair)
    assert all(is_alive(pid) for pid in before.values())
    assert (await pair.ask())[0] == 200
    keys.symlink_to(stack.environment.keys / "gateway")


async def test_workers_end_with_their_supervisor(stack: Stack, tmp_path: Path) -> None:
    async with team_of(stack, "gateway", tmp_path, "--workers", "2") as team:
        await team.until_ready(2)
        os.kill(team.pid, signal.SIGKILL)
        await gone(team, list(team.workers().values()))
        with pytest.raises(aiohttp.ClientConnectionError):
            await team.ask()


async def test_a_stop_is_announced_and_the_last_answer_says_that_it_is(stack: Stack, tmp_path: Path) -> None:
    options = ("--workers", "2")
    async with (
        team_of(stack, "gateway", tmp_path, *options, stop_notice_seconds="2") as team,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as kept,
    ):
        await team.until_ready(2)
        async with kept.get(f"{team.url}/healthz") as answer:
            assert "Connection" not in answer.headers
        team.process.terminate()
        await until(lambda: len([line for line in team.lines("stopping") if line.get("worker") == 2]) == 1, team)
        status, text = await team.ask("GET", "/readyz")
        assert (status, json.loads(text)["reason"]) == (503, "stopping")
        assert (await team.ask())[0] == 200
        async with kept.post(f"{team.url}/v1/logins", data=b"") as answer:  # nobody sends a POST twice unasked
            assert (answer.status, answer.headers["Connection"]) == (400, "close")
        assert await team.process.wait() == 0
        await gone(team, list(team.workers().values()))
        with pytest.raises(aiohttp.ClientConnectionError):
            await team.ask()


async def test_wrong_settings_end_it_with_their_code(stack: Stack, tmp_path: Path) -> None:
    async with team_of(stack, "gateway", tmp_path, "--workers", "2", keys=str(tmp_path / "none")) as team:
        assert await asyncio.wait_for(team.process.wait(), 60) == 2
        await gone(team, list(team.workers().values()))


async def test_a_port_that_somebody_has_is_not_shared(stack: Stack, tmp_path: Path) -> None:
    async with team_of(stack, "gateway", tmp_path, "--workers", "1") as team:
        await team.until_ready(1)
        port = team.url.rpartition(":")[2]
        (tmp_path / "second").mkdir()
        async with team_of(stack, "gateway", tmp_path / "second", "--workers", "1", http_port=port) as second:
            assert await asyncio.wait_for(second.process.wait(), 60) == 1
            assert not second.workers()


async def test_each_worker_of_delivery_has_an_identity_of_its_own(stack: Stack, tmp_path: Path) -> None:
    named = {"instance_id": "team", "workers": "2"}
    async with team_of(stack, "delivery", tmp_path, **named) as team:
        await team.until_ready(2)
        before = team.workers()
        assert await _held(stack, "team-1", "team-2") == 2
        team.process.send_signal(signal.SIGHUP)
        await until(lambda: team.lines("workers_replaced"), team)
        assert not set(before.values()) & set(team.workers().values())
        assert await _held(stack, "team-1", "team-2") == 2


async def test_who_has_the_identity_of_another_does_not_work(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    async with team_of(stack, "delivery", tmp_path, "--workers", "1", instance_id="twice") as team:
        await team.until_ready(1)
        async with team_of(stack, "delivery", tmp_path / "second", instance_id="twice-1") as second:
            assert await asyncio.wait_for(second.process.wait(), 60) == 1
            assert "GATEPOST_INSTANCE_ID=twice-1" in second.log.read_text()
            assert not second.lines("listening")


async def _held(stack: Stack, *names: str) -> int:
    """How many of these identities somebody holds."""
    connection = await asyncpg.connect(stack.dsn("delivery"))
    query = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND objid IN (SELECT hashtext(n)::oid FROM unnest($1::text[]) n)"
    )
    try:
        return int(await connection.fetchval(query, list(names)))
    finally:
        await connection.close()
