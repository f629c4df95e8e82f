"""`gatepost` as somebody types it, or as a service, in a process of its own that needs no start (`tests.forking`).

What a start does (what is imported for which word, what the process list shows) is looked at with real starts, in
tests/unit/test_start.py, tests/secrecy and wherever a service is run.
"""

import asyncio
import atexit
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from deploy.local.paths import ROOT
from deploy.local.processes import Program

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Fork:
    """One that runs, with what `asyncio.subprocess.Process` has."""

    def __init__(self, pid: int, told: Stream) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._told = told  # a writer that nobody has closes its socket
        self._end = asyncio.create_task(self._ended())

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    def send_signal(self, number: int) -> None:
        """Raises `ProcessLookupError` when it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    async def _ended(self) -> int:
        self.returncode = int(await self._told[0].readline())
        return self.returncode


class Command(Fork):
    def __init__(self, pid: int, told: Stream, streams: Sequence[Stream], terminal: bool) -> None:
        super().__init__(pid, told)
        (_, self.stdin), (self.stdout, _), (problems, _) = self._streams = streams
        self.stderr = None if terminal else problems

    async def communicate(self, given: bytes = b"") -> tuple[bytes, bytes]:
        """Standard output and error; the second is empty where it is a terminal."""
        self.stdin.write(given)
        self.stdin.write_eof()
        out, problems = await asyncio.gather(self.stdout.read(), self.stderr.read() if self.stderr else _nothing())
        await self.wait()
        return out, problems


async def typed(
    *words: str, environment: Mapping[str, str], folder: Path = ROOT, terminal: int | None = None
) -> Command:
    """Standard error goes to the terminal where there is one."""
    ours, theirs = zip(*(socket.socketpair() for _ in range(3)), strict=True)
    files = [each.fileno() for each in theirs]
    if terminal is not None:
        files[2] = terminal
    pid, told = await _forked("commands", words, environment, folder, files)
    for each in theirs:
        each.close()
    return Command(pid, told, [await asyncio.open_connection(sock=each) for each in ours], terminal is not None)


async def serving(program: Program, log: IO[bytes]) -> Fork:
    """A `Spawn` for a service that is started often."""
    words = program.command[program.command.index("serve") :]
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        files = [nothing, log.fileno(), log.fileno()]
        return Fork(*await _forked("services", words, program.sees(), program.folder, files))
    finally:
        os.close(nothing)


async def _forked(
    kind: str, words: Sequence[str], environment: Mapping[str, str], folder: Path, files: Sequence[int]
) -> tuple[int, Stream]:
    """The pid, and where the exit code will be read."""
    ours, theirs = socket.socketpair()
    with theirs:
        order = json.dumps([words, dict(environment), str(folder)]).encode()
        socket.send_fds(_forks(kind), [order], [*files, theirs.fileno()])
    told = await asyncio.open_connection(sock=ours)
    return int(await told[0].readline()), told


@cache
def _forks(kind: str) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.forking", str(theirs.fileno()), kind]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT, start_new_session=True)
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


async def _nothing() -> bytes:
    return b""
