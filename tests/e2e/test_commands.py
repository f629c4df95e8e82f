"""`gatepost` as a person uses it, against the running system."""

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.stack import Stack
from deploy.local.story import Story
from tests.commands import Command, typed


class Terminal:
    """Runs commands with a home of its own."""

    def __init__(self, home: Path, **more: str) -> None:
        self._environment = {**os.environ, "GATEPOST_HOME": str(home), **more}

    async def start(self, *arguments: str) -> Command:
        return await typed(*arguments, environment=self._environment)

    async def run(self, *arguments: str) -> tuple[int | None, str]:
        process = await self.start(*arguments)
        out, problems = await process.communicate()
        return process.returncode, (out + problems).decode()


async def until(terminal: Terminal, *arguments: str, says: str) -> None:
    """The list of sessions is read from a table, which comes a moment after the session."""
    async with asyncio.timeout(20):
        while says not in (await terminal.run(*arguments))[1]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_an_administrator_signs_in_on_the_command_line_and_out_again(story: Story, stack: Stack, tmp_path: Path):
    contact = "console@example.com"
    body = {"username": "console", "password": "quite long enough", "email": contact, "role": "admin"}
    path = f"/v1/accounts/{story.account}/users"
    await story.api.expect(201, "gateway", "POST", path, body | {"two_factor": {"email": True}})
    terminal, before = Terminal(tmp_path), datetime.now(UTC)
    urls = [part for name, url in story.api.urls.items() for part in (f"--{name.replace('_', '-')}", url)]
    process = await terminal.start("login", "--username", "console", "--account", "demo", *urls)
    assert process.stdin is not None
    process.stdin.write(b"quite long enough\n")
    await process.stdin.drain()
    process.stdin.write((await story.code_for(contact, "email", before)).encode() + b"\n")
    out, problems = await process.communicate()
    assert process.returncode == 0, out + problems
    status, said = await terminal.run("whoami")
    assert (status, "admin" in said, "console" in said) == (0, True, True)
    assert datetime.fromisoformat(said.split("expires_at")[1].split()[0]) > before
    status, said = await terminal.run("users", "list", "--account", "demo", "--json")
    assert (status, "console" in said) == (0, True), said
    status, said = await terminal.run("sessions", "list", "--account", "demo", "--user", "console", "--json")
    assert status == 0, said
    (session,) = json.loads(said)["sessions"]
    status, said = await terminal.run("sessions", "list", "--account", "demo")
    assert (status, session["login_id"][:8] in said, " live: " in said) == (0, True, True), said
    _, answer = await story.sign_in("linus")
    await until(terminal, "sessions", "list", "--account", "demo", says=answer["login_id"][:8])
    status, said = await terminal.run("sessions", "end", answer["login_id"])
    assert (status, "effective" in said) == (0, True), said
    assert (await story.introspect(answer["token"]))["active"] is False
    assert "no such session" in (await terminal.run("sessions", "end", "none"))[1]
    await _ends(terminal, session["login_id"])


async def test_a_wrong_code_is_asked_for_again_and_logout_ends_the_kept_session_beside_a_client(
    story: Story, stack: Stack, tmp_path: Path
):
    contact = "beside@example.com"
    body = {"username": "beside", "password": "quite long enough", "email": contact, "role": "admin"}
    path = f"/v1/accounts/{story.account}/users"
    await story.api.expect(201, "gateway", "POST", path, body | {"two_factor": {"email": True}})
    urls = {f"GATEPOST_{name.upper()}_URL": f"{url}/" for name, url in story.api.urls.items()}
    client = {"GATEPOST_CLIENT_FILE": str(stack.environment.client_file("operator"))}
    terminal, before = Terminal(tmp_path, **urls, **client), datetime.now(UTC)
    process = await terminal.start("login", "--username", "beside", "--account", "demo")
    assert process.stdin is not None
    process.stdin.write(b"quite long enough\nno code\n")
    await process.stdin.drain()
    code = await story.code_for(contact, "email", before)
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
    out, problems = await process.communicate(f"{wrong}\n{code}\n".encode())
    assert (process.returncode, b"Tries left: 4" in problems) == (0, True), out + problems
    assert b"GATEPOST_CLIENT_FILE is set" in problems
    token = json.loads((tmp_path / "login.json").read_text())["authorization"].removeprefix("Bearer ")
    own = {"data": {"token": token}, "headers": {"Authorization": f"Bearer {token}"}}
    assert (await story.api.expect(200, "session_store", "POST", "/v1/introspect", **own))["active"] is True
    assert "client" in (await terminal.run("whoami"))[1]
    assert await terminal.run("logout") == (0, "signed out\n")
    await story.api.expect(401, "session_store", "POST", "/v1/introspect", **own)
    assert not (tmp_path / "login.json").exists()
    assert await terminal.run("logout") == (0, "you were not signed in\n")


async def test_an_operator_names_accounts_pauses_all_after_a_yes_and_counts_before_a_replay(
    story: Story, stack: Stack, tmp_path: Path
):
    urls = {f"GATEPOST_{name.upper()}_URL": url for name, url in story.api.urls.items()}
    client = {"GATEPOST_CLIENT_FILE": str(stack.environment.client_file("operator"))}
    terminal = Terminal(tmp_path, **urls, **client)
    status, said = await terminal.run("deliveries", "list", "--account", "demo", "--json")
    assert (status, {row["account"] for row in json.loads(said)["deliveries"]} <= {story.account}) == (0, True), said
    for command in (["deliveries", "list"], ["replays", "create"]):
        status, said = await terminal.run(*command, "--state", "nix")
        assert (status, "undelivered" in said) == (2, True), said
    status, said = await terminal.run("deliveries", "show", "../deliveries")
    assert (status, "not-found" in said) == (1, True), said
    status, said = await terminal.run("replays", "create", "--dry-run", "--account", "demo", "--json")
    assert (status, "replay_id" in said) == (0, False), said
    assert (await terminal.run("deliveries", "pause"))[0] == 1
    everything = dict.fromkeys(("account", "channel", "country", "provider"), "*")
    status, said = await terminal.run("deliveries", "resume", "--json")
    assert (status, json.loads(said)) == (1, {"paused": [], "ended": 0}), said
    assert json.loads((await terminal.run("deliveries", "pause", "--yes", "--json"))[1]) == {"paused": [everything]}
    assert json.loads((await terminal.run("deliveries", "resume", "--json"))[1]) == {"paused": [], "ended": 1}


async def _ends(terminal: Terminal, login_id: str) -> None:
    """A session that somebody ended is over, and can be forgotten."""
    assert (await terminal.run("sessions", "end", login_id))[0] == 0
    status, said = await terminal.run("whoami")
    assert (status, "The saved sign-in is over" in said) == (1, True), said
    assert (await terminal.run("logout"))[0] == 0
    assert (await terminal.run("whoami"))[0] == 2
