"""`gatepost` as somebody types it, in a process of its own that needs no start (`tests.forking`).

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

from deploy.local.paths import ROOT

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Command:
    """One that runs, with what `asyncio.subprocess.Process` has."""

    def __init__(self, pid: int, streams: Sequence[Stream], terminal: bool) -> None:
        (_, self.stdin), (self.stdout, _), (problems, _), (told, _) = streams
        self.pid, self.stderr = pid, None if terminal else problems
        self.returncode: int | None = None
        self._streams = streams  # a writer that nobody has closes its socket
        self._end = asyncio.create_task(self._ended(told))

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    async def communicate(self, given: bytes = b"") -> tuple[bytes, bytes]:
        """Standard output and error; the second is empty where it is a terminal."""
        self.stdin.write(given)
        self.stdin.write_eof()
        out, problems = await asyncio.gather(self.stdout.read(), self.stderr.read() if self.stderr else _nothing())
        await self.wait()
        return out, problems

    def send_signal(self, number: int) -> None:
        """Raises `ProcessLookupError` when it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    async def _ended(self, told: asyncio.StreamReader) -> int:
        self.returncode = int(await told.readline())
        return self.returncode


async def typed(
    *words: str, environment: Mapping[str, str], folder: Path = ROOT, terminal: int | None = None
) -> Command:
    """Standard error goes to the terminal where there is one."""
    ours, theirs = zip(*(socket.socketpair() for _ in range(4)), strict=True)
    files = [each.fileno() for each in theirs]
    if terminal is not None:
        files[2] = terminal
    order = json.dumps([words, dict(environment), str(folder)]).encode()
    socket.send_fds(_forks(), [order], files)
    for each in theirs:
        each.close()
    streams = [await asyncio.open_connection(sock=each) for each in ours]
    pid = int(await streams[-1][0].readline())
    return Command(pid, streams, terminal is not None)


@cache
def _forks() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.forking", str(theirs.fileno())]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT, start_new_session=True)
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


async def _nothing() -> bytes:
    return b""
