"""The ports of the local system: fixed for `up`, free ones for `demo` and `test`."""

import fcntl
import os
import random
import socket
import tempfile
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, TextIO

from deploy.local.paths import Trouble

QUIET: Final = range(20_000, 32_000)
_ours: Final[list[TextIO]] = []


@dataclass(frozen=True)
class Ports:
    """One TCP port on 127.0.0.1 for each part; `GATEPOST_LOCAL_<NAME>_PORT` changes one."""

    kafka: int = 19092
    postgres: int = 15432
    gateway: int = 8080
    delivery: int = 8081
    session_store: int = 8082
    inbox: int = 8025
    smtp: int = 1025
    kafka_controller: int = 19093

    def all(self) -> dict[str, int]:
        return {part.name: getattr(self, part.name) for part in fields(self)}


def from_environment() -> Ports:
    given = {p.name: os.environ.get(_variable(p.name)) for p in fields(Ports)}
    return Ports(**{name: _number(name, port) for name, port in given.items() if port})


def free_ports() -> Ports:
    """Ports that nobody uses now, from below the range that outgoing connections draw from.

    They stay this process's until it ends, also while nothing listens there: another system that starts at this moment,
    or while a service of this one is down, gets others.
    """
    size = len(fields(Ports))
    for first in random.sample(QUIET[::size], len(QUIET) // size):
        block = range(first, first + size)
        if not any(map(_is_used, block)) and _taken(first):
            return Ports(*block)
    raise Trouble(f"no {size} free ports in a row from {QUIET.start} to {QUIET.stop}")


def _taken(first: int) -> bool:
    """A lock that the kernel gives back when this process ends, however it ends."""
    folder = Path(tempfile.gettempdir()) / f"gatepost-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = (folder / str(first)).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _ours.append(lock)
    return True


def must_be_free(ports: Ports) -> None:
    """Raise `Trouble` that names every port in use, who holds it, and how to use another."""
    busy = {name: port for name, port in ports.all().items() if _is_used(port)}
    if busy:
        lines = [
            f"  {port} ({name}) is used by {_holder(port)}; choose another with {_variable(name)}=<port>"
            for name, port in busy.items()
        ]
        raise Trouble("these ports are busy:\n" + "\n".join(lines))


def _number(name: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Trouble(f"{_variable(name)} must be a port from 1 to 65535; it is {text!r}")
    return int(text)


def _variable(name: str) -> str:
    return f"GATEPOST_LOCAL_{name.upper()}_PORT"


def _is_used(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _holder(port: int) -> str:
    """The listening process, as far as /proc shows it."""
    inode = _listening_inode(port)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(fd) == f"socket:[{inode}]" for fd in (process / "fd").iterdir()):
                return f"process {process.name} ({(process / 'comm').read_text().strip()})"
        except OSError:
            continue
    return "another process"


def _listening_inode(port: int) -> str | None:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            if columns[1].endswith(f":{port:04X}") and columns[3] == "0A":
                return columns[9]
    return None
