"""Canaries on the command line: what is typed, read from files and printed; and services that do not start."""

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from deploy.local.environment import gatepost
from deploy.local.paths import ROOT
from deploy.local.processes import inherited
from tests.secrecy import processes
from tests.secrecy.pieces import Piece
from tests.secrecy.play import Cast, person, until


class Terminal:
    """Runs commands, and looks at each from outside while it waits for what is typed."""

    def __init__(self, cast: Cast, home: Path) -> None:
        self.home = home
        client = cast.stack.environment.client_file("operator")
        urls = {f"GATEPOST_{name.upper()}_URL": url for name, url in cast.api.urls.items()}
        self._environment = inherited() | urls | {"GATEPOST_HOME": str(home)}
        self.as_client = {"GATEPOST_CLIENT_FILE": str(client)}
        self.seen: list[Piece] = []

    async def run(self, *arguments: str, typed: str = "", code: int = 0, more: Mapping[str, str] | None = None) -> str:
        pipe = asyncio.subprocess.PIPE
        environment = self._environment | dict(self.as_client if more is None else more)
        process = await asyncio.create_subprocess_exec(
            *gatepost(*arguments),
            cwd=ROOT,
            env=environment,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        )
        self.seen += processes.shown("gatepost", process.pid)
        out, problems = await process.communicate(typed.encode())
        assert process.returncode == code, (out + problems).decode()
        return out.decode()


async def play(cast: Cast, folder: Path) -> list[Piece]:
    terminal = Terminal(cast, folder)
    await asyncio.gather(_people(cast, terminal, folder), _clients(cast, terminal, folder), _signed_in(cast, terminal))
    await _no_start(cast, folder)
    return terminal.seen


async def _people(cast: Cast, terminal: Terminal, folder: Path) -> None:
    new, whose = cast.canaries.new, ("--account", cast.account)
    username, contact = new("username on a command line"), (cast.canaries.phone(), cast.canaries.email())
    typed = "\n".join((*contact, new("password"), ""))
    made = (
        "users",
        "create",
        username,
        *whose,
        "--phone",
        "-",
        "--email",
        "-",
        "--sms-codes",
        "--password-stdin",
        "--json",
    )
    await terminal.run(*made, typed=typed)
    (folder / "password").write_text(new("password"))
    await terminal.run("users", "password", username, *whose, "--password-file", str(folder / "password"))
    typed = "\n".join((cast.canaries.phone(), cast.canaries.email(), ""))
    await terminal.run("users", "edit", username, *whose, "--phone", "-", "--email", "-", typed=typed)
    lines = [json.dumps(person(cast.canaries)), json.dumps({"username": "cy-bad", "phone": new("misplaced")}), "{"]
    (folder / "people.ndjson").write_text("\n".join(lines))
    await terminal.run("users", "import", str(folder / "people.ndjson"), *whose, code=1)
    await terminal.run("users", "show", username, *whose)


async def _clients(cast: Cast, terminal: Terminal, folder: Path) -> None:
    file = folder / "made"
    whose = ("--account", cast.account, "--scope", "feed")
    await terminal.run("clients", "create", *whose, "--out-file", str(file))
    cast.canaries.known("client secret", file.read_text().strip().partition(":")[2])
    shown = json.loads(await terminal.run("clients", "create", *whose, "--json"))
    cast.canaries.known("client secret", shown["client_secret"])


async def _signed_in(cast: Cast, terminal: Terminal) -> None:
    """A person without second factor signs in by prompt; the token is kept in a file."""
    body = person(cast.canaries, two_factor={}, username=cast.canaries.new("username on a command line"))
    await cast.api.expect(201, "gateway", "POST", cast.users(), body)
    urls = [part for name, url in cast.api.urls.items() for part in (f"--{name.replace('_', '-')}", url)]
    typed = body["password"] + "\n"
    asked = ("login", "--username", body["username"], "--account", cast.account, *urls)
    await terminal.run(*asked, typed=typed, more={})
    saved = json.loads((terminal.home / "login.json").read_text())
    cast.canaries.known("token", saved["authorization"].removeprefix("Bearer "))
    await terminal.run("whoami", more={})
    await terminal.run("logout", more={})


async def _no_start(cast: Cast, folder: Path) -> None:
    """Services that are given what they cannot use: each says something, and none says what it was given."""
    new = cast.canaries.new
    dsn, client, keys = folder / "dsn", folder / "client", folder / "keys"
    dsn.write_text(new("database password", "postgresql://gatepost:{}@127.0.0.1:none/gatepost"))
    client.write_text(new("client secret", "{}:"))
    shutil.copytree(cast.stack.environment.keys / "delivery", keys)
    (keys / "code.json").write_text(new("key", '{{"purpose": "code", "keys": "{}"'))
    smtp = folder / "smtp"
    smtp.write_text(new("provider token"))
    given = {
        "gateway": {"GATEPOST_DATABASE_FILE": str(dsn)},
        "session-store": {"GATEPOST_CLIENT_FILE": str(client), "GATEPOST_DATABASE_FILE": str(dsn)},
        "delivery": {"GATEPOST_KEYS": str(keys), "GATEPOST_SMTP_USER": "cy", "GATEPOST_SMTP_PASSWORD_FILE": str(smtp)},
    }
    await asyncio.gather(*(_start(cast, service, wrong) for service, wrong in given.items()))


async def _start(cast: Cast, service: str, wrong: Mapping[str, str]) -> None:
    path = cast.stack.folder / "logs" / f"no-start-{service}.log"
    environment = os.environ | cast.stack.environment.of_service(service) | {"GATEPOST_HTTP_PORT": "0"} | dict(wrong)
    with path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *gatepost("serve", service), cwd=ROOT, env=environment, stdout=log, stderr=log
        )

    async def said() -> bool:
        return path.stat().st_size > 0

    await until(said)
    with suppress(ProcessLookupError):
        process.terminate()
    await process.wait()
