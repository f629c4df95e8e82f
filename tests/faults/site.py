"""A running system made ready to be broken: its services can be told where to die, and what they talk to is a door."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from deploy.local.processes import Child, Program, spawned
from deploy.local.stack import SERVICES, Stack
from services.platform.failpoints import POINTS
from tests.commands import serving
from tests.faults.proxy import Door, PostgresDoor, opened

# Everybody here comes from one address.
GENEROUS: Final = {
    f"GATEPOST_{name}": "100000"
    for name in ("LOGINS_PER_HOUR", "SENDS_PER_HOUR", "SENDS_PER_DAY", "WRONG_PASSWORDS_ADDRESS_15MIN")
}


@dataclass
class Site:
    """`slots`: how many calls a delivery worker makes at once."""

    stack: Stack
    slots: int
    databases: Mapping[str, PostgresDoor]
    mail: Door

    @property
    def markers(self) -> Path:
        """A file here, named like a point, kills the next process that comes by it."""
        return self.stack.folder / "fail-at"

    def program(self, name: str) -> Program:
        usual = self.stack.service(name)
        points = ",".join(sorted(point for point in POINTS if point.startswith(name)))
        told = {
            "GATEPOST_FAIL_AT": f"{points}@{self.markers}",
            "GATEPOST_ALLOW_INSECURE": "provider-loopback,fail-at",
            "GATEPOST_DATABASE_FILE": str(self._dsn_file(name)),
            "GATEPOST_SLOTS": str(self.slots),
            "GATEPOST_SMTP_PORT": str(self.mail.port),
            "GATEPOST_PASSWORD_FAILURE_FLOOR_MS": "50",
        }
        environment = {**usual.environment, **told, **GENEROUS}
        return replace(usual, environment=environment, longest_pause=0.4, spawn=serving)

    async def mutate(self) -> None:
        """Start the services with every mutant; a file among the markers, named like it, switches one on."""
        command = [sys.executable, "-m", "tests.faults.mutated", str(self.markers), "serve"]
        programs = [replace(self.program(name), command=[*command, name], spawn=spawned) for name in SERVICES]
        await self.stack.run(*programs)

    async def is_whole(self) -> bool:
        return all([await does_its_work(child) for child in self.stack.children()])

    def _dsn_file(self, name: str) -> Path:
        dsn = urlsplit(self.stack.dsn(name))
        user = dsn.netloc.rpartition("@")[0]
        path = self.markers / f"{name}.dsn"
        path.touch(mode=0o600)
        path.write_text(urlunsplit(dsn._replace(netloc=f"{user}@127.0.0.1:{self.databases[name].port}")))
        return path


@asynccontextmanager
async def site_on(stack: Stack, slots: int) -> AsyncIterator[Site]:
    """The three services are started anew for it, and as they were when it is over."""
    site = Site(stack, slots, {name: PostgresDoor(stack.ports.postgres) for name in SERVICES}, Door(stack.ports.smtp))
    site.markers.mkdir(exist_ok=True)
    async with opened(site.mail, *site.databases.values()):
        await stack.run(*(site.program(name) for name in SERVICES))
        try:
            yield site
        finally:
            await stack.run(*(stack.service(name) for name in SERVICES))


async def does_its_work(child: Child) -> bool:
    with suppress(Exception):
        return child.pid is not None and await child.program.ready()
    return False
