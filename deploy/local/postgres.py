"""One PostgreSQL on 127.0.0.1: an owner that migrates, three databases, three roles that may not own anything."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import asyncpg

from deploy.local.paths import Trouble
from deploy.local.ports import Ports
from deploy.local.processes import Program

DATABASES: Final = {
    "gateway": "gatepost_gateway",
    "delivery": "gatepost_delivery",
    "session-store": "gatepost_sessions",
}
OWNER: Final = "gatepost_owner"
ROLES: Final = ("postgres", OWNER, *DATABASES.values())
UNPRIVILEGED: Final = 65534
SECRETS: Final = "postgres.json"
BELONGS: Final = ("kafka", "clients")


class Postgres:
    """Its folder, its passwords and how to run it; as root, under an unprivileged uid from a folder of its own."""

    def __init__(self, servers: Path, folder: Path, ports: Ports) -> None:
        self._servers = servers
        self._port = ports.postgres
        self._secrets = folder / SECRETS
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = _kept(folder)
        if kept is None or not _is_there(kept):
            kept = self._create()
        self._home = Path(kept["home"])
        self._passwords: dict[str, str] = kept["passwords"]

    def dsn(self, database: str, role: str) -> str:
        return f"postgresql://{role}:{self._passwords[role]}@127.0.0.1:{self._port}/{database}"

    def program(self) -> Program:
        data = self._home / "data"
        command = [*_as_nobody(), str(self._home / "pg" / "bin" / "postgres"), "-D", str(data), "-p", str(self._port)]
        command += ["-c", "log_error_verbosity=terse"]  # a DETAIL line would quote the row
        return Program("postgres", command, self._answers, folder=self._home, stop_with=signal.SIGINT)

    async def prepare(self) -> None:
        """Make the roles and databases that are missing; each role may connect to its own database only."""
        connection = await asyncpg.connect(self.dsn("postgres", "postgres"))
        try:
            for role in ROLES[1:]:
                await self._make_role(connection, role)
            for database in DATABASES.values():
                await _make_database(connection, database)
            await connection.execute("REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC")
        finally:
            await connection.close()

    def remove(self) -> None:
        """Delete the data; the next start begins anew."""
        remove(self._secrets.parent)

    def _create(self) -> dict[str, Any]:
        home = Path(tempfile.mkdtemp(prefix="gatepost-postgres-"))
        shutil.copytree(self._servers / "postgres", home / "pg", symlinks=True)
        passwords = {role: secrets.token_urlsafe(24) for role in ROLES}
        given = home / "superuser"
        given.write_text(passwords["postgres"])
        _give_away(home)
        self._init(home, given)
        given.unlink()
        kept = {"home": str(home), "passwords": passwords}
        handle = os.open(self._secrets, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as out:
            json.dump(kept, out)
        return kept

    def _init(self, home: Path, password: Path) -> None:
        command = [*_as_nobody(), str(home / "pg" / "bin" / "initdb"), "-D", str(home / "data"), "-U", "postgres"]
        command += [
            "-A",
            "scram-sha-256",
            "--pwfile",
            str(password),
            "-E",
            "UTF8",
            "--locale",
            "C",
            "--no-instructions",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=home)
        if done.returncode != 0:
            raise Trouble(f"initdb failed:\n{done.stderr[-1500:]}")
        # Passwords are 24 random bytes: nobody guesses one, and connections are made sooner.
        settings = (
            "scram_iterations = 100\n"
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\n"
            "shared_buffers = '128MB'\nlog_timezone = 'UTC'\ntimezone = 'UTC'\npassword_encryption = 'scram-sha-256'\n"
        )
        with (home / "data" / "postgresql.auto.conf").open("a") as conf:
            conf.write(settings)

    async def _make_role(self, connection: "asyncpg.Connection[asyncpg.Record]", role: str) -> None:
        if await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
            return
        quoted = await connection.fetchval("SELECT quote_literal($1::text)", self._passwords[role])
        await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD {quoted}")

    async def _answers(self) -> bool:
        connection = await asyncpg.connect(self.dsn("postgres", "postgres"), timeout=2)
        try:
            return bool(await connection.fetchval("SELECT true"))
        finally:
            await connection.close()


def remove(folder: Path) -> None:
    """Delete what a system of that folder, run before, left of its data; it must not be running."""
    kept = _kept(folder)
    if kept is not None:
        shutil.rmtree(kept["home"], ignore_errors=True)
    (folder / SECRETS).unlink(missing_ok=True)


def forget_the_rest(folder: Path) -> None:
    """Where the data is gone (it lives outside the folder), what belongs to it goes too: its clients, its events."""
    kept = _kept(folder)
    if kept is None or _is_there(kept):
        return
    for name in BELONGS:
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "credentials.json").unlink(missing_ok=True)


def _is_there(kept: dict[str, Any]) -> bool:
    return Path(kept["home"], "data", "PG_VERSION").exists()


def _kept(folder: Path) -> dict[str, Any] | None:
    path = folder / SECRETS
    return json.loads(path.read_text()) if path.exists() else None


async def _make_database(connection: "asyncpg.Connection[asyncpg.Record]", database: str) -> None:
    if await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
        return
    await connection.execute(f"CREATE DATABASE {database} OWNER {OWNER}")
    await connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC")
    await connection.execute(f"GRANT CONNECT ON DATABASE {database} TO {database}")


def _as_nobody() -> list[str]:
    """PostgreSQL refuses to run as root: drop to a uid that owns nothing but its folder."""
    if os.geteuid() != 0:
        return []
    ids = ["--reuid", str(UNPRIVILEGED), "--regid", str(UNPRIVILEGED), "--clear-groups"]
    return ["setpriv", *ids, "--pdeathsig", "INT"]


def _give_away(home: Path) -> None:
    if os.geteuid() == 0:
        for path in (home, *home.rglob("*")):
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED, follow_symlinks=False)
