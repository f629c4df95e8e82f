"""`gatepost`, run in forks of a process that has imported it: half a second less for each of hundreds of commands, and
a second of processor less for a service.

Orders come by a socket: the words, the environment and the folder as JSON, and four files: standard input, output and
error, and where the pid and, later, the exit code are written. Arguments: that socket's number, and what to import.
"""

import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from deploy.local.processes import die_with_parent
from services import __main__ as gatepost
from services.platform.work import loading

LARGEST: Final = 128 * 1024
SERVICES: Final = Path(gatepost.__file__).parent
ALSO: Final = ("aiohttp", "aiokafka.admin", "asyncpg", "rich.live", "rich.progress")


class Order(NamedTuple):
    words: list[str]
    environment: dict[str, str]
    folder: str
    files: list[int]


def main() -> None:
    source, kind = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    with loading():
        for name in _services() if kind == "services" else _commands():
            import_module(name)
    assert threading.active_count() == 1, "a fork has only the thread that made it"
    _become(_next_order(source))
    if kind == "services":
        die_with_parent()
    gatepost.main()


def _services() -> Iterator[str]:
    yield from (f"{package}.__main__" for package in gatepost.PACKAGES.values())


def _commands() -> Iterator[str]:
    for path in sorted(SERVICES.glob("*/commands*.py")) + sorted(SERVICES.glob("*/terminal/*.py")):
        yield ".".join(("services", *path.relative_to(SERVICES).with_suffix("").parts))
    yield from ALSO


def _next_order(source: socket.socket) -> Order:
    """Returns in the forks only."""
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([source, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _tell_ends(running)
        if source not in ready:
            continue
        message, files, _, _ = socket.recv_fds(source, LARGEST, 4)
        if not message:
            sys.exit()
        teller = socket.socket(fileno=files.pop())
        if (pid := os.fork()) == 0:
            signal.set_wakeup_fd(-1)
            for each in (source, woken, wake, teller, *running.values()):
                each.close()
            words, environment, folder = json.loads(message)
            return Order(words, environment, folder, files)
        for file in files:
            os.close(file)
        running[pid] = teller
        teller.send(b"%d\n" % pid)


def _tell_ends(running: dict[int, socket.socket]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with running.pop(pid) as teller, suppress(BrokenPipeError):
                teller.send(b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(order: Order) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    for number, file in enumerate(order.files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    sys.argv = ["gatepost", *order.words]


if __name__ == "__main__":
    main()
