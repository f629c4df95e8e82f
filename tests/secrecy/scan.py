"""The scan: every place that the system writes to, searched for every secret in every form."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp

from deploy.local.environment import PORT_OF
from deploy.local.stack import Stack
from tests.secrecy import kafka, postgres, processes
from tests.secrecy.needles import Search, Secret
from tests.secrecy.pieces import OVERLAP, Piece, in_folder, of_file

AT_ONCE = 2


class Finding(NamedTuple):
    """A secret, in a form, at a place; `where` is the first of them. Never the secret itself."""

    place: str
    secret: Secret
    form: str
    where: str

    def __str__(self) -> str:
        return f"{self.secret.field} ({self.secret.name}) as {self.form} in {self.place}, first in {self.where}"


@dataclass
class Scanned:
    findings: list[Finding] = field(default_factory=list)
    bytes_of: Counter[str] = field(default_factory=Counter)
    needles: int = 0

    def of(self, secret: Secret) -> list[Finding]:
        return [finding for finding in self.findings if finding.secret == secret]


@dataclass(frozen=True)
class Extra:
    """What stands beside the stack: more processes, more metric pages, what was seen of processes that ended."""

    pids: dict[int, str]
    pages: dict[str, str]
    seen: Sequence[Piece]


async def scan(stack: Stack, records: list[Any], secrets: Sequence[Secret], extra: Extra) -> Scanned:
    search, done = Search(secrets), Scanned()
    assert search.longest < OVERLAP
    done.needles = len(search)
    found: dict[tuple[str, Secret, str], str] = {}
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(piece: Piece) -> None:
        try:
            hits = await asyncio.to_thread(search, piece.data)
        finally:
            slots.release()
        done.bytes_of[piece.place] += len(piece.data)
        for hit in hits:
            found.setdefault((piece.place, hit.secret, hit.form), f"{piece.where}+{hit.offset}")

    async with asyncio.TaskGroup() as group:
        async for piece in _pieces(stack, records, extra):
            await slots.acquire()
            group.create_task(one(piece))
    done.findings = [Finding(*key, where) for key, where in sorted(found.items(), key=str)]
    return done


async def _pieces(stack: Stack, records: list[Any], extra: Extra) -> AsyncIterator[Piece]:
    pages = {service: f"{stack.environment.url(service)}/metrics" for service in PORT_OF} | extra.pages
    async with aiohttp.ClientSession() as session:
        for name, url in pages.items():
            async with session.get(url) as answer:
                yield Piece(f"metrics/{name}", url, await answer.read())
    for piece in _processes_and_logs(stack, extra):
        yield piece
    async for piece in postgres.read(stack):
        yield piece
    async for piece in kafka.read(stack, records):
        yield piece


def _processes_and_logs(stack: Stack, extra: Extra) -> Iterator[Piece]:
    roots = {child.pid: child.program.name for child in stack.children() if child.pid is not None}
    yield from processes.all_of(roots | extra.pids)
    yield from extra.seen
    for path in in_folder(stack.folder / "logs"):
        yield from of_file(f"log/{path.stem}", path)
