"""`gatepost replays` and `gatepost dead-letters` as an operator types them."""

import asyncio
import base64
import json
import os
import pty
import re
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest_asyncio

from services.delivery.dead_letters import Again
from services.platform.clock import new_id
from tests.commands import Command, typed
from tests.integration.delivery.conftest import SCOPES, Place, client
from tests.integration.delivery.test_letters import a_reason, bins, record_of, refuse
from tests.integration.delivery.test_replays import refused
from tests.integration.delivery.world import Login, World, until

__all__ = ["bins"]


class Console:
    """Runs commands as a client of its own; standard error is a terminal where that is asked for."""

    def __init__(self, folder: Path, url: str) -> None:
        told = {"GATEPOST_HOME": str(folder), "GATEPOST_DELIVERY_URL": url, "COLUMNS": "120", "TERM": "xterm"}
        self._environment = {**os.environ, **told, "GATEPOST_CLIENT_FILE": str(folder / "client")}

    async def start(self, *arguments: str, terminal: int | None = None) -> Command:
        return await typed(*arguments, environment=self._environment, terminal=terminal)

    async def run(self, *arguments: str, typed: str = "") -> tuple[int | None, str, str]:
        process = await self.start(*arguments)
        out, problems = await process.communicate(typed.encode())
        return process.returncode, out.decode(), problems.decode()


@pytest_asyncio.fixture
async def console(world: World, place: Place, tmp_path: Path) -> Console:
    own = await client(place, "*", SCOPES)
    (tmp_path / "client").write_bytes(base64.b64decode(own["Authorization"].removeprefix("Basic ")))
    return Console(tmp_path, world.url)


def create(logins: Sequence[Login], *more: str) -> Sequence[str]:
    return ("replays", "create", "--account", str(logins[0].account), *more)


async def test_a_replay_is_counted_and_asked_for_before_it_sends(world: World, console: Console):
    logins = await refused(world, 2)
    status, said, asked = await console.run(*create(logins), typed="n\n")
    assert (status, said.strip()) == (1, ""), asked
    assert "would be sent" in asked
    assert "Send 2 messages again?" in asked
    assert await world.messages(logins[0].phone) == []
    status, said, asked = await console.run(*create(logins), typed="y\n")
    assert status == 0, asked
    assert "sent again                     2" in said
    for login in logins:
        await world.message(login.phone)
    status, said, _ = await console.run(*create(logins, "--yes", "--json"))
    assert (status, json.loads(said)["without"]) == (1, {}), said


async def test_a_filter_that_matches_nothing_ends_with_1_and_names_what_is_in_the_way(world: World, console: Console):
    logins = await refused(world, 2)
    for more in ((), ("--yes",)):
        status, said, problem = await console.run(*create(logins, "--reason", "no-receipt", *more))
        assert (status, said) == (1, "")
        assert "Without --reason it would be 2." in problem
    status, said, _ = await console.run(*create(logins, "--reason", "no-receipt", "--dry-run"))
    assert (status, "Without --reason it would be 2." in said) == (0, True)


async def test_ctrl_c_leaves_the_replay_running_and_says_how_to_see_and_stop_it(world: World, console: Console):
    logins = await refused(world, 5)
    name = f"r-{new_id()}"
    whose = ("--account", str(logins[0].account))
    process = await console.start(*create(logins, "--yes", "--per-second", "0.1", "--replay-id", name))
    await until(lambda: runs(console, name, whose), 30, "the replay runs")
    os.kill(process.pid, signal.SIGINT)
    _, left = await process.communicate()
    assert (process.returncode, f"gatepost replays watch {name}" in left.decode()) == (130, True), left
    status, _, problem = await console.run(*create(logins, "--yes"))
    assert (status, f"gatepost replays stop {name}" in problem) == (1, True), problem
    status, said, problem = await console.run("replays", "stop", name, *whose)
    assert (status, "stopped by client:" in said) == (0, True), said
    account, sent = str(logins[0].account), re.search(r"sent again +(\d)", said)
    assert sent, said
    assert f"gatepost replays create --account {account} --replay-id {name}" in problem
    assert (await console.run("replays", "watch", name, *whose))[0] == 1
    status, said, told = await console.run(*create(logins, "--replay-id", name, "--per-second", "50"))
    assert (status, "sent again                     5" in said) == (0, True), said + told
    assert f"went on: {5 - int(sent[1])} more sent, 5 in all" in said
    status, said, _ = await console.run(*create(logins, "--replay-id", name))
    assert (status, "was done before; nothing was sent now" in said) == (0, True), said
    status, said, _ = await console.run("replays", "list", *whose, "--json")
    assert [one["replay_id"] for one in json.loads(said)["replays"]] == [name]


async def runs(console: Console, name: str, whose: Sequence[str]) -> bool | None:
    status, said, _ = await console.run("replays", "show", name, *whose, "--json")
    return (status == 0 and json.loads(said)["state"] == "running") or None


async def test_on_a_terminal_a_bar_shows_how_far_it_is(world: World, console: Console):
    logins = await refused(world, 3)
    ours, theirs = pty.openpty()
    process = await console.start(*create(logins, "--yes", "--per-second", "2", "--json"), terminal=theirs)
    os.close(theirs)
    shown = asyncio.create_task(asyncio.to_thread(read_all, ours))
    out, _ = await process.communicate()
    seen = await shown
    assert (process.returncode, json.loads(out)["counts"]) == (0, {"replayed": 3})
    for part in ("3/3", "3 sent", "/s"):
        assert part in seen, seen


def read_all(terminal: int) -> str:
    """Until the other side is closed, which a terminal tells by an error."""
    found = b""
    try:
        while chunk := os.read(terminal, 4096):
            found += chunk
    except OSError:
        pass
    os.close(terminal)
    return found.decode()


async def test_a_detached_replay_is_watched_to_its_end(world: World, console: Console):
    logins = await refused(world, 3)
    status, said, _ = await console.run(*create(logins, "--yes", "--detach", "--per-second", "2", "--json"))
    made = json.loads(said)
    assert (status, made["state"]) == (0, "running")
    status, said, _ = await console.run("replays", "watch", made["replay_id"], "--account", made["account"], "--json")
    assert (status, json.loads(said)["counts"]) == (0, {"replayed": 3}), said


async def test_dead_letters_are_listed_opened_taken_again_exported_and_put_away(
    world: World, console: Console, bins, tmp_path: Path
):
    reason, login = a_reason(), Login(email=None)
    letter = await refuse(world, bins["delivery"], record_of(world.challenge(login)), reason)
    other = await refuse(world, bins["session-store"], record_of(world.verified(Login()), 1), reason)
    status, said, _ = await console.run("dead-letters", "list", "--reason", reason, "--state", "open")
    assert (status, letter["id"] in said, other["id"] in said) == (0, True, True), said
    status, said, _ = await console.run("dead-letters", "show", letter["id"])
    assert (status, str(login.login_id) in said, "(sealed, " in said) == (0, True, True), said
    status, said, _ = await console.run("dead-letters", "replay", "--reason", reason, "--dry-run", "--json")
    assert json.loads(said)["counts"] == {"taken": 1, "not-ours": 1}
    status, said, problem = await console.run("dead-letters", "replay", "--reason", reason, "--yes", "--json")
    assert (status, json.loads(said)["counts"]) == (0, {"taken": 1, "not-ours": 1}), problem
    await world.message(login.phone)
    status, _, problem = await console.run("dead-letters", "replay", "--reason", reason, "--yes")
    assert (status, "1 to be exported" in problem) == (1, True), problem
    file = tmp_path / "record"
    assert (await console.run("dead-letters", "export", other["id"], "--out-file", str(file)))[0] == 0
    assert (file.stat().st_mode & 0o777, json.loads(file.read_text())["topic"]) == (0o600, "session-events")
    status, _, problem = await console.run("dead-letters", "export", other["id"], "--out-file", str(file))
    assert (status, str(file) in problem) == (1, True), problem
    status, said, _ = await console.run("dead-letters", "discard", other["id"], "--because", "of a test")
    assert (status, "of a test" in said) == (0, True), said


async def test_a_dry_run_takes_nothing_and_what_is_forged_is_put_away_in_one_go(world: World, console: Console, bins):
    reason = a_reason()
    for offset in range(2):
        await refuse(world, bins["delivery"], record_of(world.challenge(Login()), offset), reason)
    status, said, _ = await console.run("dead-letters", "replay", "--reason", reason, "--dry-run")
    assert (status, said.split()) == (0, ["would", "be", "taken", "2"])
    discard = ("dead-letters", "discard", "--reason", reason)
    assert (await console.run(*discard))[0] == 2
    assert "would be discarded" in (await console.run(*discard, "--dry-run"))[1]
    status, said, asked = await console.run(*discard, "--because", "forged", typed="y\n")
    assert (status, "Put 2 dead letters away?" in asked, said.split()) == (0, True, ["discarded", "2"]), asked
    assert (await console.run(*discard, "--because", "forged", "--yes"))[0] == 1


async def test_a_letter_that_is_still_bad_says_so(world: World, console: Console, bins):
    letter = await refuse(world, bins["delivery"], Again("login-challenges", 0, 7, b"", b"", []), a_reason())
    assert "(empty)" in (await console.run("dead-letters", "show", letter["id"]))[1]
    status, _, problem = await console.run("dead-letters", "replay", letter["id"])
    assert (status, "It is still bad" in problem) == (1, True), problem


async def test_routes_and_pauses_are_not_changed_by_a_slip(world: World, console: Console):
    for slip in ((), ("--country", "IS"), ("twilio", "--clear")):
        assert (await console.run("providers", "route", *slip))[0] == 2
    assert (await console.run("providers", "route", "twilio:0", "--country", "IS"))[0] == 0
    assert (await console.run("providers", "route", "--country", "IS", "--clear"))[:2] == (0, "none\n")
    status, _, problem = await console.run("deliveries", "resume", "--country", "IS")
    assert (status, "There is no such pause" in problem) == (1, True)
    await console.run("deliveries", "pause", "--country", "IS")
    status, _, problem = await console.run("deliveries", "resume", "--country", "IS")
    assert (status, "1 pause ended" in problem) == (0, True)
