"""`make up`: a supervisor in the background holds the system; `down`, `status` and `logs` find it by its pid file."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from deploy.local import ports as local_ports
from deploy.local.paths import ROOT, STATE, Trouble

if TYPE_CHECKING:
    from deploy.local.people import Person
    from deploy.local.stack import Stack

FOLDER: Final = STATE / "up"
PID: Final = FOLDER / "supervisor.pid"
READY: Final = FOLDER / "ready.json"
PROGRESS: Final = FOLDER / "logs" / "supervisor.log"
CREDENTIALS: Final = FOLDER / "credentials.json"
START_SECONDS: Final = 300
SERVICES: Final = {"gateway": "gateway", "delivery": "delivery", "session_store": "session store"}
HANDED_ON: Final = ("GATEPOST_TRACES", "GATEPOST_WORKERS")
USUAL: Final = {name: f"http://127.0.0.1:{getattr(local_ports.Ports(), name)}" for name in SERVICES}


async def up() -> None:
    """Start the system and return when it is ready; harmless when it runs already."""
    out = Console()
    if _running():
        what = "runs already" if READY.exists() else "is starting already"
        out.print(f"Gatepost {what}, as it was started; to start it with other settings: `make down` first.")
    else:
        local_ports.must_be_free(local_ports.from_environment())
        _start_supervisor()
    if not READY.exists():
        with out.status("starting …"):
            await _wait_until_ready(out)
    _greet(out)


async def supervise() -> None:
    """The background process: holds the children until SIGTERM, which also ends a start under way."""
    from deploy.local.stack import Stack

    _end_on_signal()
    stack = Stack(FOLDER, local_ports.from_environment(), Console(force_terminal=False), handed_on())
    try:
        with suppress(asyncio.CancelledError):
            async with stack:
                await _introduce(stack)
                await _report(stack)
    finally:
        READY.unlink(missing_ok=True)


def handed_on() -> dict[str, str]:
    """What every service is told of our own environment; the rest of it may be meant for commands."""
    return {name: os.environ[name] for name in HANDED_ON if name in os.environ}


def _end_on_signal() -> None:
    """The first signal cancels this task; later ones do not disturb the clean stop."""
    task = asyncio.current_task()
    ended: list[bool] = []

    def end() -> None:
        if task is not None and not ended:
            ended.append(task.cancel())

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)


async def down() -> None:
    """Stop the system and wait until nothing of it is left; its data stays for the next `up`."""
    out, pid = Console(), _running()
    if pid is None:
        out.print("Gatepost is not running.")
        return
    os.kill(pid, signal.SIGTERM)
    with out.status("stopping …"):
        while _running():  # noqa: ASYNC110 - it is another process that ends
            await asyncio.sleep(0.1)
    out.print("Gatepost is stopped; `make up` starts it again with its data.")


async def status() -> None:
    """One line for each process: pid, since when (UTC), restarts."""
    if not _running() or not READY.exists():
        Console().print("Gatepost is not running. Start it with `make up`.")
        raise SystemExit(1)
    table = Table("process", "pid", "since (UTC)", "restarts", box=None)
    for name, (pid, since, restarts) in json.loads(READY.read_text())["processes"].items():
        table.add_row(name, str(pid or "starting"), since, str(restarts))
    Console().print(table)


async def logs() -> None:
    """The last lines of every log, then what comes (Ctrl-C ends it)."""
    paths = [str(path) for path in sorted((FOLDER / "logs").glob("*.log"))]
    if not paths:
        raise Trouble("there are no logs yet; start with `make up`")
    follow = ["-F"] if _running() else []
    if not follow:
        Console().print("Gatepost is not running; its logs ended like this:")
    sys.stdout.flush()
    os.execvp("tail", ["tail", "-n", "20", *follow, *paths])  # noqa: S606 - this process becomes tail


async def reset() -> None:
    """Forget the data, keys, logs and passwords of `make up`; the next one begins anew."""
    from deploy.local import postgres

    if _running():
        raise Trouble("Gatepost is running; stop it with `make down` first")
    postgres.remove(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    Console().print("Everything that `make up` kept is gone.")


def _start_supervisor() -> None:
    PROGRESS.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    FOLDER.chmod(0o700)  # tokens are kept there too
    READY.unlink(missing_ok=True)
    command = [sys.executable, "-m", "deploy.local", "supervise"]
    with PROGRESS.open("wb") as log:
        started = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    PID.write_text(str(started.pid))


async def _wait_until_ready(out: Console) -> None:
    shown, deadline = 0, time.monotonic() + START_SECONDS
    while not READY.exists():
        text = PROGRESS.read_text(errors="replace")
        out.print(text[shown:], end="", markup=False, highlight=False)
        shown = len(text)
        if not _running():
            raise Trouble(f"the start failed; the lines above say why, more is in {PROGRESS.parent}")
        if time.monotonic() > deadline:
            raise Trouble(f"not ready after {START_SECONDS} s; look into {PROGRESS.parent}")
        await asyncio.sleep(0.1)
    out.print(PROGRESS.read_text(errors="replace")[shown:], end="", markup=False, highlight=False)


async def _introduce(stack: "Stack") -> None:
    """Make the demo account the first time; write who can sign in, and where, to `credentials.json` (0600)."""
    import aiohttp

    from deploy.local.people import Api, populate

    if not CREDENTIALS.exists():
        async with aiohttp.ClientSession() as session:
            account, made = await populate(Api(session, stack.environment.urls(), stack.client()))
        _write(CREDENTIALS, _credentials(stack, account, made))
    else:
        _write(CREDENTIALS, json.loads(CREDENTIALS.read_text()) | addresses(stack))


async def _report(stack: "Stack") -> None:
    while True:
        _write(READY, _processes(stack))
        await asyncio.sleep(1)


def _processes(stack: "Stack") -> dict[str, Any]:
    rows = {c.program.name: (c.pid, f"{c.since:%Y-%m-%d %H:%M:%S}", c.restarts) for c in stack.children()}
    return {"processes": rows}


def _credentials(stack: "Stack", account: str, made: "list[Person]") -> dict[str, Any]:
    client_id, secret = stack.client()
    return addresses(stack) | {
        "account": {"name": "demo", "account_id": account},
        "client": {"client_id": client_id, "secret": secret},
        "users": {p.username: {"password": p.password, "signing_in": p.says} for p in made},
    }


def addresses(stack: "Stack") -> dict[str, str]:
    """Other ports may be chosen at each start."""
    inbox, kafka = f"http://127.0.0.1:{stack.ports.inbox}", f"127.0.0.1:{stack.ports.kafka}"
    return stack.environment.urls() | {"inbox": inbox, "kafka": kafka}


def _write(path: Path, data: dict[str, Any]) -> None:
    spare = path.with_suffix(".new")
    handle = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump(data, out, indent=1)
    spare.replace(path)


def _running() -> int | None:
    """The supervisor's pid, if that process is ours and alive."""
    try:
        pid = int(PID.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        here = Path(f"/proc/{pid}/cwd").resolve() == ROOT
    except (OSError, ValueError):
        return None
    return pid if here and b"deploy.local" in command and b"supervise" in command else None


def _greet(out: Console) -> None:
    """Addresses, who can sign in, and a first line to try."""
    known = json.loads(CREDENTIALS.read_text())
    out.print("")
    for name, what in (*SERVICES.items(), ("inbox", "phone and mailbox"), ("kafka", "Kafka")):
        out.print(f"{what:18} [bold]{known[name]}[/]", soft_wrap=True)
    table = Table("user", "signing in", box=None)
    for username, user in known["users"].items():
        table.add_row(username, user["signing_in"])
    out.print("", table, "")
    client, moved = FOLDER / "clients" / "operator", {n: known[n] for n in SERVICES if known[n] != USUAL[n]}
    lines = [f"export GATEPOST_CLIENT_FILE={client}"]
    lines += [f"export GATEPOST_{name.upper()}_URL={url}" for name, url in moved.items()]
    lines += [".venv/bin/gatepost users list --account demo"]
    grace = {"account": "demo", "username": "grace", "password": known["users"]["grace"]["password"]}
    lines += [f"curl -s {known['gateway']}/v1/logins --json '{json.dumps(grace)}'"]
    out.print(f"passwords and the client's secret: {CREDENTIALS}", soft_wrap=True, highlight=False)
    out.print(f"in a browser: [bold]{known['gateway']}/login?account=demo[/]", soft_wrap=True)
    out.print("on the command line, and a first login:", *lines, sep="\n    ", soft_wrap=True, highlight=False)
